"""Topic names: the grammar of the design, and their keys."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.events.topic import TopicName, log_key, parse_topic, topic_of_key
from api.problems import InvalidTopic
from tests.support.events import topic_names

ALLOWED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.~-")


def is_topic(text: str) -> bool:
    """The rule of the design: 1 to 8 segments of 1 to 64 of these characters, with colons."""
    segments = text.split(":")
    return len(segments) <= 8 and all(
        1 <= len(segment) <= 64 and ALLOWED.issuperset(segment) for segment in segments
    )


@given(st.text("aZ0_.~-:" * 3 + " \n/*é٣", max_size=20) | topic_names)
@example("a" * 64)
@example("a" * 65)
@example("a:b:c:d:e:f:g:h")
@example("a:b:c:d:e:f:g:h:i")
@example("a\n")
def test_exactly_the_names_of_the_grammar_are_accepted(text: str):
    """What the rule allows is taken as it is, all else is refused."""
    if is_topic(text):
        assert parse_topic(text) == text
        return
    with pytest.raises(InvalidTopic):
        parse_topic(text)


@given(topic_names)
def test_a_key_leads_back_to_its_topic(topic: TopicName):
    """Also for a topic whose name begins like the prefix of keys."""
    assert topic_of_key(log_key(topic)) == topic
