"""Undoes the encoding of a message's data, as far as we can."""

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from api.payloads.depth import is_nested_deeper

# The body's own limit is 64, and an event wraps its data in a few levels more.
MAX_NESTING: Final = 56


class Undecodable(Exception):
    """The data is not what its encoding says."""


def decode(data: Any, encoding: str) -> tuple[Any, str]:
    """Return the data, and the steps of its encoding that are left.

    The steps are undone from right to left: `json`, `utf-8` and `base64`. A cipher cannot be undone
    here, so it stays, and with it all steps to its left. Bytes that are no text stay in base64,
    because JSON holds no bytes.
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
