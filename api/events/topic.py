"""The name of what is published to and read from."""

import re
from typing import Self

from api.problems import InvalidTopic

_GRAMMAR = re.compile(r"[A-Za-z0-9_.~-]{1,64}(?::[A-Za-z0-9_.~-]{1,64}){0,7}")


class TopicName(str):
    """1 to 8 segments of `[A-Za-z0-9_.~-]{1,64}`, joined by colons: `user:42:notifications`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name from outside. Raises `InvalidTopic`."""
        if not _GRAMMAR.fullmatch(text):
            raise InvalidTopic
        return cls(text)

    @property
    def key(self) -> str:
        """The Redis key of the topic's log."""
        return f"millrace:topic:{self}"


_KEY_PREFIX_CHARS = len(TopicName().key)


def topic_of_key(key: str) -> TopicName:
    """The inverse of `TopicName.key`, for keys in Redis's own replies."""
    return TopicName(key[_KEY_PREFIX_CHARS:])
