"""Decodes the data of Ably's messages as far as that is possible without a cipher key."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from api.payloads.depth import is_nested_deeper

# The body's own limit is 64, and an event wraps its data in a few levels more.
MAX_NESTING: Final = 56


class Undecodable(Exception):
    """Raised within `decode` when the data is not in the form that its encoding names."""


def decode(data: Any, encoding: str) -> tuple[Any, str]:
    """Decode a message's data; return it with the steps of its encoding that are left.

    `encoding` is Ably's list of steps, such as `json/utf-8/base64`. The steps `json`, `utf-8` and
    `base64` are undone from right to left. A step that fails or that we do not know, such as a
    cipher, stays, and so do all steps to its left. Bytes that remain are returned as base64 text,
    because JSON holds no bytes. The second value is "" when everything was decoded. Nothing is
    raised.
    """
    steps = [step for step in encoding.split("/") if step]
    try:
        while steps and (undo := STEPS.get(steps[-1])):
            data = undo(data)
            steps.pop()
    except Undecodable:
        # The data as it came to the step that failed.
        pass
    if isinstance(data, bytes):
        return base64.b64encode(data).decode(), "/".join([*steps, "base64"])
    return data, "/".join(steps)


def _json(data: Any) -> Any:
    try:
        value = msgspec.json.decode(_text_or_bytes(data))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise Undecodable from None
    if is_nested_deeper(value, MAX_NESTING):
        raise Undecodable
    return value


def _utf8(data: Any) -> str:
    try:
        return data.decode() if isinstance(data, bytes) else str(_text_or_bytes(data))
    except UnicodeError:
        raise Undecodable from None


def _base64(data: Any) -> bytes:
    try:
        return base64.b64decode(_text_or_bytes(data), validate=True)
    except (binascii.Error, ValueError):
        raise Undecodable from None


def _text_or_bytes(data: Any) -> str | bytes:
    if not isinstance(data, str | bytes):
        raise Undecodable
    return data


STEPS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "json": _json,
    "utf-8": _utf8,
    "base64": _base64,
}
