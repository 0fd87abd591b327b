"""A topic's name: what events are published to and read from."""

import re
from typing import Final, NewType

from api.problems import InvalidTopic

TopicName = NewType("TopicName", str)
"""1 to 8 segments of `[A-Za-z0-9_.~-]{1,64}`, joined by colons: `user:42:notifications`."""

_GRAMMAR = re.compile(r"[A-Za-z0-9_.~-]{1,64}(?::[A-Za-z0-9_.~-]{1,64}){0,7}")
_PREFIX: Final = "millrace:topic:"


def parse_topic(text: str) -> TopicName:
    """The name in a text from outside. Raises `InvalidTopic` for anything else."""
    if not _GRAMMAR.fullmatch(text):
        raise InvalidTopic
    return TopicName(text)


def log_key(topic: TopicName) -> str:
    """The Redis key of the topic's log."""
    return _PREFIX + topic


def topic_of_key(key: str) -> TopicName:
    """The topic of a `log_key` that Redis sent back."""
    return TopicName(key.removeprefix(_PREFIX))
