"""What a message's data is, once the steps that its `encoding` names are undone."""

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
    """The data, and the steps that are left: those from the first that is not ours to undo.

    Steps are undone from right to left: `json`, `utf-8` and `base64`. A cipher stays, with all
    that stands left of it. Bytes that are no text stay in base64, as JSON holds no bytes.
    """
    steps = [step for step in encoding.split("/") if step]
    try:
        while steps and (undo := STEPS.get(steps[-1])):
            data = undo(data)
            steps.pop()
    except Undecodable:
        # As it came, from the step that failed on.
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
