"""`/apps`: makes apps and keys, in the way in which the SDKs' own tests ask for them."""

from __future__ import annotations

import json
import secrets
from typing import Any

from infra.local.ably.apps import Apps
from infra.local.ably.keys_and_tokens.capability import Capability
from infra.local.ably.keys_and_tokens.keys import DEFAULT, Grant, Key, made_key
from infra.local.ably.messages import Message, accepted
from infra.local.ably.protocol import AblyError, PresenceAction, bad_request
from infra.local.ably.rest.request import Reply, Request

_FIXTURE = "fixture:0"


def create_app(apps: Apps, request: Request) -> Reply:
    """Make an app with the keys and the members that the body lists. Raises AblyError."""
    try:
        return _create(apps, request.object())
    except (AttributeError, KeyError, TypeError):
        raise bad_request("keys and channels are lists of objects") from None


def _create(apps: Apps, wanted: dict[str, Any]) -> Reply:
    app_id = secrets.token_hex(4)
    keys = [_key(app_id, one) for one in wanted.get("keys") or [{}]]
    for key in keys:
        apps.keys.add(key)
    for one in wanted.get("channels") or []:
        channel = apps.of(Grant.of_key(keys[0])).channels.get(str(one.get("name")))
        if members := one.get("presence"):
            channel.announce(_entered(members, apps.clock.now_ms()), prefix=_FIXTURE)
    shown = [
        {
            "keyName": key.name,
            "keySecret": key.secret,
            "keyStr": key.text,
            "capability": key.capability.text,
            "revocableTokens": key.is_revocable,
        }
        for key in keys
    ]
    return Reply(201, wanted | {"appId": app_id, "accountId": "local", "keys": shown})


def _entered(members: list[dict[str, Any]], now_ms: int) -> list[Message]:
    """The enter events of the members that a body lists."""
    enter = {"action": int(PresenceAction.ENTER), "connectionId": "fixture", "timestamp": now_ms}
    events = []
    for index, member in enumerate(members):
        [content] = accepted(member)
        identity = {"id": f"{_FIXTURE}:{index}", "clientId": member["clientId"]}
        events.append(content | enter | identity)
    return events


def delete_app(apps: Apps, grant: Grant, app_id: str) -> Reply:
    """Remove the app of the caller's key with all its connections. Raises AblyError."""
    if grant.is_token or grant.key.app_id != app_id or grant.key == apps.key:
        raise AblyError(40160, 401, "an app is deleted with one of its own keys")
    apps.remove(app_id)
    return Reply(204, None)


def _key(app_id: str, wanted: dict[str, Any]) -> Key:
    given = wanted.get("capability")
    if given is None:
        capability = DEFAULT
    else:
        text = given if isinstance(given, str) else json.dumps(given)
        capability = Capability.parse(text)
    return made_key(app_id, capability, is_revocable=bool(wanted.get("revocableTokens")))
