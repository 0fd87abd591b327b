"""The numbers of the Realtime protocol, and frames that many tests send."""

from __future__ import annotations

from typing import Any

from tests.integration.local_ably.conftest import Frame, RealtimeSocket

HEARTBEAT, ACK, NACK, CONNECTED, DISCONNECT, DISCONNECTED = 0, 1, 2, 4, 5, 6
CLOSED, ERROR = 8, 9
CLOSE, ATTACH, ATTACHED, DETACH, DETACHED, PRESENCE, MESSAGE, SYNC = 7, 10, 11, 12, 13, 14, 15, 16
AUTH = 17
HAS_PRESENCE, HAS_BACKLOG, RESUMED, ATTACH_RESUME = 1, 2, 4, 32
MODE_SUBSCRIBE = 1 << 18
ROOM = "room:1"


async def attach(socket: RealtimeSocket, **fields: Any) -> Frame:
    return await socket.ask(ATTACH, ATTACHED, channel=ROOM, **fields)


async def publish(socket: RealtimeSocket, serial: int, *names: str) -> Frame:
    messages = [{"name": name} for name in names]
    return await socket.ask(MESSAGE, ACK, channel=ROOM, msgSerial=serial, messages=messages)


def names(frame: Frame) -> list[str]:
    return [one["name"] for one in frame["messages"]]
