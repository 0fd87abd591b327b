"""The words of Ably's Realtime protocol."""

from __future__ import annotations

from enum import IntEnum, IntFlag
from typing import Any, TypeAlias

from infra.local.ably.errors import bad_request

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
    """What an attachment is for; the bits stand among the flags."""

    PRESENCE = 1 << 16
    PUBLISH = 1 << 17
    SUBSCRIBE = 1 << 18
    PRESENCE_SUBSCRIBE = 1 << 19
    ANNOTATION_PUBLISH = 1 << 21
    ANNOTATION_SUBSCRIBE = 1 << 22
    # Nothing comes of these here, but who asks for them alone must not get the default.
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
    """A frame as a client sends it, without nulls. Raises AblyError 40000 for any other value."""
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
