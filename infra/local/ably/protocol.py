"""What all parts of the protocol share: its errors, its encodings and its frames."""

from __future__ import annotations

import base64
import json
from enum import IntEnum, IntFlag, StrEnum
from typing import Any, TypeAlias

import msgpack


class AblyError(Exception):
    """A failure as clients see it: a code that SDKs act on, and an HTTP status."""

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message

    def info(self) -> dict[str, Any]:
        """The error as it is sent. Without statusCode the Python SDK would make it a 50000."""
        return {
            "code": self.code,
            "statusCode": self.status,
            "message": self.message,
            "href": f"https://help.ably.io/error/{self.code}",
        }


def bad_request(message: str) -> AblyError:
    return AblyError(40000, 400, message)


def not_mutable() -> AblyError:
    """The error for a message that changes or annotates another one, which no channel allows."""
    return AblyError(93002, 400, "messages cannot be changed or annotated")


def not_permitted(operation: str, resource: str) -> AblyError:
    return AblyError(40160, 401, f"no capability for {operation} on {resource}")


class Format(StrEnum):
    JSON = "json"
    MSGPACK = "msgpack"

    @property
    def media_type(self) -> str:
        # ably-js compares the header of failures literally: no charset behind it.
        return "application/json" if self is Format.JSON else "application/x-msgpack"

    @classmethod
    def of(cls, text: str | None) -> Format:
        """The format that a media type or a `format` parameter names; JSON unless it is msgpack."""
        return cls.MSGPACK if "msgpack" in (text or "") else cls.JSON


def decode(raw: bytes | str, form: Format) -> Any:
    """The value in `raw`. Binary data is `bytes`. Raises AblyError 40000 when it is not valid."""
    try:
        if form is Format.JSON:
            return json.loads(raw)
        # ably-python mixes two types of string: both are text here, and only bin is bytes.
        return msgpack.unpackb(raw, raw=False, strict_map_key=False)
    except Exception:  # noqa: BLE001 - the unpacker raises a dozen types for bad input
        raise bad_request(f"the body is not valid {form}") from None


def encode(value: Any, form: Format) -> bytes:
    if form is Format.MSGPACK:
        packed: bytes = msgpack.packb(value, use_bin_type=True, unicode_errors="replace")
        return packed
    text = json.dumps(_textual(value), separators=(",", ":"), ensure_ascii=False)
    # JSON can carry half a surrogate pair, UTF-8 cannot.
    return text.encode(errors="replace")


def _textual(value: Any) -> Any:
    if isinstance(value, list):
        return [_textual(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _textual(one) for name, one in value.items()}
    if isinstance(data := value.get("data"), bytes):
        plain["data"] = base64.b64encode(data).decode()
        plain["encoding"] = "/".join(filter(None, [value.get("encoding"), "base64"]))
    return plain


Frame: TypeAlias = dict[str, Any]
"""One ProtocolMessage."""


class Action(IntEnum):
    HEARTBEAT = 0
    ACK = 1
    NACK = 2
    CONNECTED = 4
    DISCONNECT = 5
    DISCONNECTED = 6
    CLOSE = 7
    CLOSED = 8
    ERROR = 9
    ATTACH = 10
    ATTACHED = 11
    DETACH = 12
    DETACHED = 13
    PRESENCE = 14
    MESSAGE = 15
    SYNC = 16
    AUTH = 17
    ANNOTATION = 21


class Flag(IntFlag):
    HAS_PRESENCE = 1
    HAS_BACKLOG = 2
    RESUMED = 4
    ATTACH_RESUME = 32


class Mode(IntFlag):
    """What an attachment is for. Its bits stand among the flags of a frame."""

    PRESENCE = 1 << 16
    PUBLISH = 1 << 17
    SUBSCRIBE = 1 << 18
    PRESENCE_SUBSCRIBE = 1 << 19
    ANNOTATION_PUBLISH = 1 << 21
    ANNOTATION_SUBSCRIBE = 1 << 22
    # They do nothing here, but a client that asks for them alone must not get the default.
    OBJECT_SUBSCRIBE = 1 << 24
    OBJECT_PUBLISH = 1 << 25


# The operation that a capability must allow for each mode.
OPERATIONS = {
    Mode.PRESENCE: "presence",
    Mode.PUBLISH: "publish",
    Mode.SUBSCRIBE: "subscribe",
    Mode.PRESENCE_SUBSCRIBE: "subscribe",
    Mode.ANNOTATION_PUBLISH: "annotation-publish",
    Mode.ANNOTATION_SUBSCRIBE: "annotation-subscribe",
    Mode.OBJECT_SUBSCRIBE: "object-subscribe",
    Mode.OBJECT_PUBLISH: "object-publish",
}
DEFAULT_MODES = (
    Mode.PRESENCE
    | Mode.PUBLISH
    | Mode.SUBSCRIBE
    | Mode.PRESENCE_SUBSCRIBE
    | Mode.ANNOTATION_PUBLISH
)


_SHAPES: dict[str, type] = {
    "action": int,
    "auth": dict,
    "channel": str,
    "channelSerial": str,
    "flags": int,
    "id": str,
    "messages": list,
    "msgSerial": int,
    "params": dict,
    "presence": list,
}


def checked(value: object) -> Frame:
    """The frame that a client sent, without its nulls.

    Raises AblyError 40000 when the value is no object, or a field is not of its type.
    """
    if not isinstance(value, dict):
        raise bad_request("a frame is an object")
    frame = {name: one for name, one in value.items() if one is not None}
    for name, shape in _SHAPES.items():
        if not isinstance(frame.get(name, shape()), shape):
            raise bad_request(f"{name} is not of its type")
    return frame


class PresenceAction(IntEnum):
    ABSENT = 0
    PRESENT = 1
    ENTER = 2
    LEAVE = 3
    UPDATE = 4
