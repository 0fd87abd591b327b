"""Topic patterns, which say what a grant covers, and the form of topics."""

import re
from dataclasses import dataclass
from typing import Self

MAX_SEGMENTS = 8
MAX_SEGMENT_CHARS = 64

_SEGMENT = re.compile(rf"[A-Za-z0-9_.~-]{{1,{MAX_SEGMENT_CHARS}}}")
_TOPIC = re.compile(rf"{_SEGMENT.pattern}(?::{_SEGMENT.pattern}){{0,{MAX_SEGMENTS - 1}}}")


class InvalidPattern(ValueError):
    """Raised for a text that is not a topic pattern.

    Its message never repeats the pattern, which may come from a token.
    """

    def __init__(self) -> None:
        super().__init__(
            "a pattern is 1 to 8 topic segments, with * for one and ** only at the end"
        )


def is_segment(text: str) -> bool:
    """Return whether `text` is one segment of a topic, so that it cannot bring in `:` or `*`."""
    # fullmatch, not $: that would let a trailing newline through.
    return _SEGMENT.fullmatch(text) is not None


def is_topic(text: str) -> bool:
    """Return whether `text` is a topic name, without wildcards."""
    return _TOPIC.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class TopicPattern:
    """A set of topics: `*` is exactly one segment, a trailing `**` is one or more.

    So `user:42:**` covers `user:42:inbox` but not `user:42` itself, and `**` covers every topic.
    All other segments are literal and must be topic segments. `is_open` says that the pattern ends
    in `**`, which is not among `segments`.
    """

    segments: tuple[str, ...]
    is_open: bool = False

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a pattern such as `a:*:**`. Raises InvalidPattern for any other text."""
        *head, last = text.split(":")
        is_open = last == "**"
        fixed = tuple(head if is_open else [*head, last])
        # A segment such as `a*` matches nothing; whoever wrote it believes that it does.
        if len(head) >= MAX_SEGMENTS or not all(s == "*" or is_segment(s) for s in fixed):
            raise InvalidPattern
        return cls(fixed, is_open=is_open)

    def matches(self, topic: str) -> bool:
        """Return whether the set holds `topic`, which must be a valid topic name."""
        given = topic.split(":")
        fits = len(given) > len(self.segments) if self.is_open else len(given) == len(self.segments)
        # The lengths differ on purpose where the pattern is open.
        pairs = zip(self.segments, given, strict=False)
        return fits and all(mine in ("*", theirs) for mine, theirs in pairs)

    def __str__(self) -> str:
        return ":".join((*self.segments, "**") if self.is_open else self.segments)
