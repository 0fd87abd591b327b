"""Users of an instance, without a role: they may do what their grants say."""

from __future__ import annotations

from collections.abc import Sequence

from tests.support.client import Client
from tests.support.instances import Instance


def user(
    instance: Instance, name: str, *, read: Sequence[str] = (), publish: Sequence[str] = ()
) -> Client:
    grants = {"read": list(read), "publish": list(publish)}
    sessions = instance.services.security.sessions
    return Client(instance, sessions.issue(name, roles=[], grants=grants, ttl_s=600))
