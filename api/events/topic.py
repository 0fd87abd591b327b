"""The names of topics and the keys of their logs in Redis."""

import re
from typing import Final, NewType

from api.problems import InvalidTopic

TopicName = NewType("TopicName", str)
"""1 to 8 segments of `[A-Za-z0-9_.~-]{1,64}`, joined by colons, such as `user:42:notifications`."""

_GRAMMAR = re.compile(r"[A-Za-z0-9_.~-]{1,64}(?::[A-Za-z0-9_.~-]{1,64}){0,7}")
_PREFIX: Final = "millrace:topic:"


def parse_topic(text: str) -> TopicName:
    """Return `text` as a topic name. Raises `InvalidTopic` if it does not follow the grammar."""
    if not _GRAMMAR.fullmatch(text):
        raise InvalidTopic
    return TopicName(text)


def log_key(topic: TopicName) -> str:
    """Return the key of the topic's log in Redis."""
    return _PREFIX + topic


def topic_of_key(key: str) -> TopicName:
    """Return the topic whose `log_key` is `key`."""
    return TopicName(key.removeprefix(_PREFIX))
