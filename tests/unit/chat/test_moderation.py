"""What a message must be like."""

from __future__ import annotations

from typing import Any

import pytest

from api.chat.messages.moderation import Moderator
from api.chat.problems import MessageRefused

MODERATOR = Moderator(max_bytes=100, blocked_words=["Spam", "größe", "a.b"])


@pytest.mark.parametrize(
    "data",
    [
        "spam",
        "Buy SPAM now",
        "\N{FULLWIDTH LATIN CAPITAL LETTER S}PAM",
        "GRÖSSE",
        "a.b",
        {"text": ["x", {"y": "spam"}]},
        {"spam": 1},
    ],
)
def test_a_blocked_word_is_refused_wherever_it_stands(data: Any) -> None:
    """In any case and form of letters; the refusal does not repeat it."""
    with pytest.raises(MessageRefused) as refused:
        MODERATOR.check(data)

    assert "spam" not in str(refused.value.errors).lower()


@pytest.mark.parametrize("data", ["spamming", "antispam", "axb", "", None, 7, {"a": [1, "ok"]}])
def test_other_words_pass(data: Any) -> None:
    """Also those that a blocked one is a part of."""
    MODERATOR.check(data)


@pytest.mark.parametrize(("chars", "is_good"), [(98, True), (99, False)])
def test_the_length_is_that_of_the_json(chars: int, is_good: bool) -> None:
    """A text has two quotation marks more."""
    if is_good:
        MODERATOR.check("x" * chars)
        return
    with pytest.raises(MessageRefused):
        MODERATOR.check("x" * chars)


def test_without_words_nothing_is_blocked() -> None:
    """An empty list is not a pattern that matches everything."""
    Moderator(max_bytes=100, blocked_words=[]).check("spam")
