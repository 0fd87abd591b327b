"""The name of what is published to and read from."""

import re
from typing import Final, NewType

from api.problems import InvalidTopic

TopicName = NewType("TopicName", str)
"""1 to 8 segments of `[A-Za-z0-9_.~-]{1,64}`, joined by colons: `user:42:notifications`."""

_GRAMMAR = re.compile(r"[A-Za-z0-9_.~-]{1,64}(?::[A-Za-z0-9_.~-]{1,64}){0,7}")
_PREFIX: Final = "millrace:topic:"


def parse_topic(text: str) -> TopicName:
    """Read a name from outside. Raises `InvalidTopic`."""
    if not _GRAMMAR.fullmatch(text):
        raise InvalidTopic
    return TopicName(text)


def log_key(topic: TopicName) -> str:
    """The Redis key of the topic's log."""
    return _PREFIX + topic


def topic_of_key(key: str) -> TopicName:
    """The inverse of `log_key`, for keys in Redis's own replies."""
    return TopicName(key.removeprefix(_PREFIX))
