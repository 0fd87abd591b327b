"""What a topic pattern covers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.events import parse_topic
from api.problems import InvalidTopic
from api.security.patterns import InvalidPattern, TopicPattern, is_segment, is_topic

ALPHABET = "ab.~-_9Z"
segments = st.text(ALPHABET, min_size=1, max_size=3)
topics = st.lists(segments, min_size=1, max_size=8).map(":".join)
patterns = st.builds(
    lambda fixed, is_open: ":".join([*fixed, "**"] if is_open else fixed),
    st.lists(st.sampled_from(["*", "a", "b", "ab"]), min_size=1, max_size=7),
    st.booleans(),
)
near_topics = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=8).map(":".join)


def reference(pattern: list[str], topic: list[str]) -> bool:
    """The rule in its plainest form."""
    if pattern == ["**"]:
        return len(topic) >= 1
    if not pattern or not topic:
        return pattern == topic
    return pattern[0] in ("*", topic[0]) and reference(pattern[1:], topic[1:])


@given(patterns, st.one_of(topics, near_topics))
def test_pattern_matches_what_the_reference_matches(pattern: str, topic: str):
    """Any pattern covers exactly the topics of the recursive rule."""
    expected = reference(pattern.split(":"), topic.split(":"))

    assert TopicPattern.parse(pattern).matches(topic) is expected


@given(patterns)
def test_pattern_text_round_trips(text: str):
    """The text form of a pattern reads back as the same pattern."""
    pattern = TopicPattern.parse(text)

    assert str(pattern) == text
    assert TopicPattern.parse(str(pattern)) == pattern


@pytest.mark.parametrize(
    ("pattern", "topic", "covered"),
    [
        ("user:42:**", "user:42:inbox", True),
        ("user:42:**", "user:42:a:b", True),
        ("user:42:**", "user:42", False),
        ("user:42:**", "user:421:inbox", False),
        ("*", "a", True),
        ("*", "a:b", False),
        ("a:*:c", "a:b:c", True),
        ("a:*:c", "a:b:d", False),
        ("**", "a", True),
        ("**", "a:b:c:d:e:f:g:h", True),
    ],
)
def test_pattern_examples(pattern: str, topic: str, covered: bool):
    """The documented examples hold."""
    assert TopicPattern.parse(pattern).matches(topic) is covered


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "a:",
        ":a",
        "a::b",
        "a*",
        "*a:b",
        "**:a",
        "a:**:b",
        "***",
        "a b",
        "a\n",
        "a:b\n",
        "ä",
        "a" * 65,
        ":".join("abcdefghi"),
        ":".join("abcdefgh") + ":**",
        "a/b",
        "[a]",
        "a:?",
    ],
)
def test_malformed_pattern_is_refused_without_repeating_it(text: str):
    """What is not a pattern is an error, whose text does not carry the input."""
    with pytest.raises(InvalidPattern) as caught:
        TopicPattern.parse(text)

    assert not text.strip(":*") or text not in str(caught.value)


def test_longest_patterns_are_accepted():
    """Eight segments, the last of which may be open."""
    assert TopicPattern.parse(":".join("abcdefgh")).matches(":".join("abcdefgh"))
    assert TopicPattern.parse(":".join("abcdefg") + ":**").matches(":".join("abcdefgh"))


@pytest.mark.parametrize("text", ["a:b", "*", "", "a\n", " a", "a" * 65, "é"])
def test_no_segment_brings_in_structure(text: str):
    """Colons, wildcards and line ends are never part of one segment."""
    assert not is_segment(text)


@given(st.one_of(st.text("ab:~\n*", max_size=20), topics))
def test_a_topic_here_is_a_topic_of_the_log(text: str):
    """Both packages spell the grammar: what one authorises is what the other reads."""
    try:
        parse_topic(text)
    except InvalidTopic:
        assert not is_topic(text)
    else:
        assert is_topic(text)


def test_topics_have_one_to_eight_segments():
    """The grammar of the wire contract."""
    assert is_topic("a")
    assert is_topic(":".join("abcdefgh"))
    assert not is_topic(":".join("abcdefghi"))
    assert not is_topic("a:*")
    assert not is_topic("a\n")
