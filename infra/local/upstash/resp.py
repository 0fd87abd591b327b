"""RESP2, the Redis protocol, without I/O: makes bytes of commands, and replies of bytes.

Source: https://redis.io/docs/latest/develop/reference/protocol-spec/
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final, Literal, TypeAlias

Command: TypeAlias = list[bytes]
"""A command's name and arguments, at least the name."""


class Status(bytes):
    """A simple string such as `OK`, which is not the same as a stored value with this text."""

    __slots__ = ()


class ErrorReply(str):
    """The text of an error, with its code word (`WRONGTYPE ...`)."""

    __slots__ = ()


Reply: TypeAlias = "int | bytes | ErrorReply | list[Reply] | None"


class More(Enum):
    """The value that says that more bytes are needed."""

    MORE = 0


MORE: Final = More.MORE
_COMPACT_BYTES = 65_536
_ERROR, _STATUS, _INTEGER, _BULK, _ARRAY = b"-+:$*"


class ProtocolError(Exception):
    """The bytes are not RESP2. The connection cannot be used any more."""


def encode_command(command: Command) -> bytes:
    """One command as an array of bulk strings."""
    parts = [b"*%d\r\n" % len(command)]
    parts += [b"$%d\r\n%b\r\n" % (len(argument), argument) for argument in command]
    return b"".join(parts)


def encode_commands(commands: Iterable[Command]) -> bytes:
    """Several commands one after the other, for one write."""
    return b"".join(map(encode_command, commands))


def encode_reply(reply: Reply) -> bytes:
    """A reply as the engine would have sent it."""
    match reply:
        case None:
            return b"$-1\r\n"
        case int():
            return b":%d\r\n" % reply
        case Status():
            return b"+%b\r\n" % reply
        case bytes():
            return b"$%d\r\n%b\r\n" % (len(reply), reply)
        case ErrorReply():
            return b"-%b\r\n" % reply.encode()
        case list():
            return b"*%d\r\n" % len(reply) + b"".join(map(encode_reply, reply))


class Decoder:
    """Makes replies of bytes that may be split anywhere. No part is decoded twice."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._position = 0
        self._open: list[tuple[list[Reply], int]] = []

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def pop(self) -> Reply | Literal[More.MORE]:
        """Remove and return the next whole reply; MORE when its end is not here yet."""
        while True:
            reply = self._scalar_or_opening()
            if isinstance(reply, More):
                return MORE
            if isinstance(reply, _Opened):
                continue
            while self._open:
                items, size = self._open[-1]
                items.append(reply)
                if len(items) < size:
                    break
                self._open.pop()
                reply = items
            else:
                self._compact()
                return reply

    def _scalar_or_opening(self) -> Reply | More | _Opened:
        buffer, start = self._buffer, self._position
        end = buffer.find(b"\r\n", start)
        if end < 0:
            return MORE
        kind, line, after = buffer[start], buffer[start + 1 : end], end + 2
        if kind == _BULK:
            return self._bulk(int(line), after)
        self._position = after
        if kind == _INTEGER:
            return int(line)
        if kind == _STATUS:
            return Status(line)
        if kind == _ERROR:
            return ErrorReply(line.decode("utf-8", "replace"))
        if kind == _ARRAY:
            return self._array(int(line))
        raise ProtocolError(f"unexpected type byte {kind:#x}")

    def _bulk(self, size: int, start: int) -> bytes | More | None:
        if size < 0:
            self._position = start
            return None
        end = start + size
        if len(self._buffer) < end + 2:
            return MORE
        self._position = end + 2
        return bytes(self._buffer[start:end])

    def _array(self, size: int) -> Reply | _Opened:
        if size < 0:
            return None
        if size == 0:
            return []
        self._open.append(([], size))
        return _OPENED

    def _compact(self) -> None:
        if self._position == len(self._buffer):
            self._buffer.clear()
            self._position = 0
        elif self._position > _COMPACT_BYTES:
            del self._buffer[: self._position]
            self._position = 0


class _Opened:
    """An array began; its items follow."""

    __slots__ = ()


_OPENED: Final = _Opened()
