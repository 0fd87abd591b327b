"""Which unknown names of a query are slips of the pen, and which are somebody else's."""

from __future__ import annotations

import pytest

from api.http.queries import nearest

KNOWN = sorted(["topic", "types", "wait", "conn", "cursor", "history", "lastEventId", "ids", "ttl"])


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("topics", "topic"),
        ("Topic", "topic"),
        ("type", "types"),
        ("con", "conn"),
        ("wati", "wait"),
        ("cursr", "cursor"),
        ("curosr", "cursor"),
        ("cursers", "cursor"),
        ("hystory", "history"),
        ("last_event_ids", "lastEventId"),
        ("id", "ids"),
    ],
)
def test_a_name_that_is_nearly_a_known_one_is_that(given: str, meant: str):
    """In another case, with other separators, or one edit away, two in a longer name."""
    assert nearest(given, KNOWN) == meant


@pytest.mark.parametrize(
    "given", ["_", "t", "r", "v", "ts", "rnd", "utm_source", "fbclid", "key", "page", "date", ""]
)
def test_a_name_of_somebody_else_is_none_of_ours(given: str):
    """What breaks caches and counts visits goes on to be ignored."""
    assert nearest(given, KNOWN) is None


def test_a_name_of_any_length_costs_little():
    """Its length alone tells that it is none: nothing is compared letter by letter."""
    assert nearest("cursor" * 200_000, KNOWN) is None
