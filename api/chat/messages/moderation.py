"""Moderation of the messages that are sent through us."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from api.chat.problems import MessageRefused

# The Unicode form in which wide and stylised letters are the same as plain ones.
FORM: Final = "NFKC"


class Moderator:
    """Refuses a message that is too long or that holds a blocked word.

    `max_bytes` is the maximum size of the data as JSON. A word is also recognised in upper and
    lower case, and in wide or stylised forms of its letters, but only as a whole word.
    """

    def __init__(self, *, max_bytes: int, blocked_words: Iterable[str]) -> None:
        self._max_bytes = max_bytes
        words = "|".join(re.escape(_plain(word)) for word in blocked_words)
        self._blocked = re.compile(rf"(?<!\w)(?:{words})(?!\w)") if words else None

    def check(self, data: Any) -> None:
        """Raise MessageRefused if `data` (any JSON) is too long, or holds a blocked word anywhere.

        Names of fields are looked at too. The error never repeats the word.
        """
        if len(msgspec.json.encode(data)) > self._max_bytes:
            raise _refused(f"At most {self._max_bytes} bytes as JSON.")
        blocked = self._blocked
        if blocked and any(blocked.search(_plain(text)) for text in _texts(data)):
            raise _refused("It holds a word that is not welcome here.")


def _refused(message: str) -> MessageRefused:
    return MessageRefused(errors=[{"field": "data", "message": message}])


def _plain(text: str) -> str:
    return unicodedata.normalize(FORM, text).casefold()


def _texts(data: Any) -> Iterator[str]:
    """Yield all texts in `data`, and the names of its fields."""
    waiting = [data]
    while waiting:
        match waiting.pop():
            case str(text):
                yield text
            case list(items):
                waiting += items
            case dict(items):
                waiting += [*items.keys(), *items.values()]
