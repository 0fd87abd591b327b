"""Data comes out as it was published, or as far as it can be undone."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from ably.types.message import Message
from hypothesis import given
from hypothesis import strategies as st

from api.chat.ably.encoding import MAX_NESTING, decode

values: Any = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text("abc"), inner),
    max_leaves=10,
)


@given(st.lists(values) | st.dictionaries(st.text("abc"), values))
def test_what_the_sdk_encodes_is_undone(data: Any) -> None:
    """Objects and lists travel as JSON text."""
    sent = Message("name", data).as_dict()

    assert decode(sent["data"], sent["encoding"]) == (data, "")


@pytest.mark.parametrize(
    ("data", "encoding", "expected"),
    [
        ("hi", "", ("hi", "")),
        ({"a": 1}, "", ({"a": 1}, "")),
        ('{"a":1}', "json", ({"a": 1}, "")),
        ("eyJhIjoxfQ==", "json/utf-8/base64", ({"a": 1}, "")),
        ("eyJhIjoxfQ==", "json/base64", ({"a": 1}, "")),
        ("w7w=", "utf-8/base64", ("ü", "")),
        ("/w==", "base64", ("/w==", "base64")),
        ("/w==", "utf-8/base64", ("/w==", "utf-8/base64")),
        ("abc=", "json/utf-8/cipher+aes-128-cbc/base64", None),
        ("{", "json", ("{", "json")),
        ("!", "base64", ("!", "base64")),
        (1, "json", (1, "json")),
        ("x", "vcdiff", ("x", "vcdiff")),
    ],
)
def test_steps_are_undone_from_the_right_until_one_is_not_ours(
    data: Any, encoding: str, expected: Any
) -> None:
    """A cipher is for who has its key: it stays, with what stands left of it."""
    if expected is None:
        found, left = decode(data, encoding)
        assert left == "json/utf-8/cipher+aes-128-cbc/base64"
        assert base64.b64decode(found) == base64.b64decode(data)
        return
    assert decode(data, encoding) == expected


@pytest.mark.parametrize("depth", [MAX_NESTING + 1, 1_000_000])
def test_deep_json_stays_text(depth: int) -> None:
    """Every reader of the topic would have to decode it again."""
    text = "[" * depth + "]" * depth

    assert decode(text, "json") == (text, "json")


@given(st.text(max_size=30), st.text("json/utf-8base64", max_size=30))
def test_nothing_makes_it_fail(data: str, encoding: str) -> None:
    """The result can always be stored as JSON."""
    json.dumps(decode(data, encoding))
