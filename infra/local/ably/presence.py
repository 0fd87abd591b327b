"""Who is present on a channel, and how they come and go."""

from __future__ import annotations

import secrets
from typing import Any

from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.messages import Message, accepted
from infra.local.ably.protocol import AblyError, PresenceAction, bad_request

_FROM_CLIENT = {PresenceAction.ENTER, PresenceAction.LEAVE, PresenceAction.UPDATE}


class Members:
    """The set of members: one for each client id and connection."""

    def __init__(self) -> None:
        self._members: dict[tuple[str, str], Message] = {}

    def __len__(self) -> int:
        return len(self._members)

    def apply(self, event: Message) -> None:
        """Follow an enter, update or leave."""
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
    """The events that a client sends about itself. Raises AblyError."""
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
                # Entering again after a resume is no news if it has the id of the first time.
                "id": message["id"] if said_before else f"{prefix}:{index}",
                "clientId": client_id,
                "connectionId": connection_id,
                "timestamp": now_ms,
            }
        )
    return events


def left(members: list[Message], now_ms: int) -> tuple[str, list[Message]]:
    """The events for members that are gone without a word, and the id of the whole.

    Not the connection's ids: SDKs then compare by timestamp instead of the connection's order.
    """
    prefix = f"left-{secrets.token_hex(4)}:0"
    gone = {"action": int(PresenceAction.LEAVE), "timestamp": now_ms}
    return prefix, [one | gone | {"id": f"{prefix}:{index}"} for index, one in enumerate(members)]
