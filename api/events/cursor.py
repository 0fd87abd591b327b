"""Cursors: a client's positions on all topics of its stream, as one opaque text.

Before base64url a cursor has a version byte, the number of topics, and then for each topic eight
bytes of the hash of its name and the two parts of the event id as LEB128 numbers. Because the hash
names the topic, a cursor stays valid when the client asks for other topics than before. It has
about 22 characters for each topic.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Self

from api.events.event import MAX_PART, EventId
from api.events.topic import TopicName
from api.problems import InvalidCursor

VERSION: Final = 1  # the first byte of a cursor
MAX_TOPICS: Final = 50  # of one stream
MAX_CHARS: Final = 4096  # of the text of a cursor
_HASH_BYTES: Final = 8
_ALPHABET = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)  # the decoder would skip anything else
_VARINT_BITS: Final = 63


@lru_cache(maxsize=65_536)
def topic_hash(topic: str) -> bytes:
    """Return the eight bytes that stand for `topic` in cursors."""
    return blake2b(topic.encode(), digest_size=_HASH_BYTES).digest()


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:  # noqa: PLR2004
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _read_varint(raw: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift <= _VARINT_BITS and at < len(raw):
        byte = raw[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004
            if number > MAX_PART:
                raise InvalidCursor
            return number, at
        shift += 7
    raise InvalidCursor


def _pack(topic: str, position: EventId) -> bytes:
    return topic_hash(topic) + _varint(position.ms) + _varint(position.seq)


def _text(parts: Mapping[TopicName, bytes]) -> bytes:
    packed = bytes((VERSION, len(parts))) + b"".join(parts.values())
    return urlsafe_b64encode(packed).rstrip(b"=")


@dataclass(frozen=True, slots=True)
class Cursor:
    """A client's positions on its topics. The keys of `positions` are topic hashes."""

    positions: Mapping[bytes, EventId]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the cursor in a text that a client sent.

        Raises `InvalidCursor` for any other text.
        """
        if len(text) > MAX_CHARS or not _ALPHABET.fullmatch(text):
            raise InvalidCursor
        try:
            raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except (Base64Error, ValueError) as error:
            raise InvalidCursor from error
        if len(raw) < 2 or raw[0] != VERSION or raw[1] > MAX_TOPICS:  # noqa: PLR2004
            raise InvalidCursor
        positions: dict[bytes, EventId] = {}
        at = 2
        for _ in range(raw[1]):
            name = raw[at : at + _HASH_BYTES]
            ms, at = _read_varint(raw, at + _HASH_BYTES)
            seq, at = _read_varint(raw, at)
            positions[name] = EventId(ms, seq)
        if at != len(raw) or len(positions) != raw[1]:
            raise InvalidCursor
        return cls(positions)

    @classmethod
    def at(cls, positions: Mapping[TopicName, EventId]) -> Self:
        """Return the cursor that holds exactly these positions."""
        return cls({topic_hash(topic): at for topic, at in positions.items()})

    def position(self, topic: str) -> EventId | None:
        """Return the client's position on `topic`; None if the cursor does not name the topic."""
        return self.positions.get(topic_hash(topic))


class CursorWriter:
    """The cursor of a reader or cohort that moves. A move encodes only the topic that moved."""

    __slots__ = ("_parts",)

    def __init__(self, positions: Mapping[TopicName, EventId]) -> None:
        self._parts = {topic: _pack(topic, at) for topic, at in sorted(positions.items())}

    def move(self, topic: TopicName, position: EventId) -> None:
        """Set the position on `topic`, which may be a topic that the cursor did not name before."""
        self._parts[topic] = _pack(topic, position)

    def text(self) -> bytes:
        """Return the cursor as it is sent to clients: URL-safe ASCII."""
        return _text(self._parts)


def cursor_text(positions: Mapping[TopicName, EventId]) -> str:
    """Return the cursor with exactly these positions, as it is sent to clients."""
    return CursorWriter(positions).text().decode()
