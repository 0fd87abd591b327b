"""Checks messages as clients send them, and makes them into messages as clients get them."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, TypeAlias

from infra.local.ably.protocol import AblyError, bad_request, not_mutable

Message: TypeAlias = dict[str, Any]

MAX_BYTES = 65_536
_TEXTS = ("id", "name", "encoding", "clientId")
# Fields that a client may set. ably-js adds `size`; serial and connection are the server's.
_KEPT = ("id", "name", "data", "encoding", "clientId", "extras")


def accepted(raw: object) -> list[Message]:
    """The messages of a body, which holds one or a list, without their nulls.

    Raises AblyError 40000 when one is not valid, and 40009 when they are too large together.
    """
    several = _several(raw)
    if not several or not all(isinstance(one, dict) for one in several):
        raise bad_request("a message is an object")
    messages = [_accepted(one) for one in several]
    if sum(map(size, messages)) > MAX_BYTES:
        raise AblyError(40009, 400, f"the messages are longer than {MAX_BYTES} bytes")
    return messages


def publishable(raw: object) -> list[Message]:
    """As `accepted`, for messages that are to be published.

    Raises AblyError 40031 for ids by which a repeat could not be recognised, and 93002 for a
    message that changes another one.
    """
    messages = accepted(raw)
    if any(one.get("action") for one in _several(raw)):
        raise not_mutable()
    ids = [message.get("id") for message in messages]
    base = str(ids[0]).rpartition(":")[0]
    is_series = ids == [f"{base}:{index}" for index in range(len(ids))]
    if "" in ids or (len(ids) > 1 and any(ids) and not (base and is_series)):
        raise AblyError(40031, 400, "ids of messages sent together end in :0, :1 and so on")
    return messages


def size(message: Message) -> int:
    """Its size in bytes by Ably's rule: that of name, clientId, data and extras."""
    parts = [message.get("name"), message.get("clientId"), message.get("data")]
    extras = message.get("extras")
    parts.append(json.dumps(extras) if extras else None)
    return sum(
        len(one if isinstance(one, bytes) else str(one).encode(errors="replace"))
        for one in parts
        if one
    )


def is_ephemeral(message: Message) -> bool:
    """Whether it is delivered but not kept, as Chat's typing and reactions are."""
    return bool(message.get("extras", {}).get("ephemeral"))


def _several(raw: object) -> list[Any]:
    return raw if isinstance(raw, list) else [raw]


def _accepted(raw: Message) -> Message:
    message = {name: raw[name] for name in _KEPT if raw.get(name) is not None}
    if not all(isinstance(message.get(name, ""), str) for name in _TEXTS):
        raise bad_request(f"{', '.join(_TEXTS)}: each is a text")
    if not isinstance(message.get("extras", {}), dict):
        raise bad_request("extras is an object")
    data = message.get("data")
    if isinstance(data, dict | list | bool | int | float):
        message["data"] = json.dumps(data, separators=(",", ":"), ensure_ascii=False)
        _encoding(message, [*_encodings(message), "json"])
    elif isinstance(data, str) and _encodings(message)[-1:] == ["base64"]:
        try:
            message["data"] = base64.b64decode(data, validate=True)
        except binascii.Error:
            raise bad_request("data is not base64") from None
        _encoding(message, _encodings(message)[:-1])
    return message


def _encodings(message: Message) -> list[str]:
    return [one for one in str(message.get("encoding", "")).split("/") if one]


def _encoding(message: Message, encodings: list[str]) -> None:
    message.pop("encoding", None)
    if encodings:
        message["encoding"] = "/".join(encodings)
