"""Presence: the members of a channel, and the events by which they come and go."""

from __future__ import annotations

import secrets
from typing import Any

from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import Message, accepted
from infra.local.ably.protocol import AblyError, PresenceAction, bad_request

_FROM_CLIENT = {PresenceAction.ENTER, PresenceAction.LEAVE, PresenceAction.UPDATE}


class Members:
    """The members of one channel: one for each connection and clientId."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], Message] = {}

    def __len__(self) -> int:
        return len(self._members)

    def apply(self, event: Message) -> None:
        """Change the members by an enter, update or leave event."""
        key = (event["connectionId"], event["clientId"])
        if event["action"] == PresenceAction.LEAVE:
            self._members.pop(key, None)
        else:
            self._members[key] = event | {"action": int(PresenceAction.PRESENT)}

    def all(self) -> list[Message]:
        return list(self._members.values())

    def of_connection(self, connection_id: str) -> list[Message]:
        return [one for one in self._members.values() if one["connectionId"] == connection_id]


def said(raw: Any, grant: Grant, connection_id: str, prefix: str, now_ms: int) -> list[Message]:
    """The presence events in what a client sent. Raises AblyError when one is not allowed."""
    several = raw if isinstance(raw, list) else [raw]
    events = []
    for index, message in enumerate(accepted(raw)):
        action = several[index].get("action")
        if action not in _FROM_CLIENT:
            raise bad_request("a client enters, updates or leaves")
        client_id = grant.as_client(message.get("clientId"))
        if client_id is None:
            raise AblyError(91000, 400, "an anonymous client cannot be present")
        said_before = str(message.get("id", "")).startswith(f"{connection_id}:")
        events.append(
            message
            | {
                "action": int(action),
                # After a resume the SDK enters again with the id of the first time, so that others
                # see no second event.
                "id": message["id"] if said_before else f"{prefix}:{index}",
                "clientId": client_id,
                "connectionId": connection_id,
                "timestamp": now_ms,
            }
        )
    return events


def left(members: list[Message], now_ms: int) -> tuple[str, list[Message]]:
    """The leave events for members whose connection has ended, and the id of their frame.

    The ids do not begin with the connection's: SDKs then compare events by timestamp instead of
    by the order of the connection.
    """
    prefix = f"left-{secrets.token_hex(4)}:0"
    gone = {"action": int(PresenceAction.LEAVE), "timestamp": now_ms}
    return prefix, [one | gone | {"id": f"{prefix}:{index}"} for index, one in enumerate(members)]
