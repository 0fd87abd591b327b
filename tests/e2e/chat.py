"""A whole deployment with chat, and its clients as processes: ours, and Ably's SDKs.

The same tests run against the real Ably when ABLY_API_KEY is set: only the address differs.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from tests.support.container import Container
from tests.support.local_server import ROOT
from tests.support.programs import NODE, printed_json

CLIENTS = ROOT / "tests" / "e2e" / "clients"
WITHIN_S = 40


@dataclass(frozen=True)
class Ably:
    """The Ably of the application and its clients. `url` is None for the real one."""

    key: str
    url: str | None = None

    @property
    def settings(self) -> dict[str, str]:
        """Its settings for the application."""
        return {"ably_api_key": self.key} | ({"ably_url": self.url} if self.url else {})

    @property
    def for_js(self) -> dict[str, Any]:
        """Client options of ably-js."""
        if self.url is None:
            return {}
        # Without another transport: ably-js would look for the internet first.
        port = urlsplit(self.url).port
        return {
            "endpoint": "127.0.0.1",
            "port": port,
            "tls": False,
            "transports": ["web_socket"],
        }

    @property
    def for_python(self) -> dict[str, Any]:
        """Client options of ably-python, which takes a port only as a part of the host."""
        if self.url is None:
            return {}
        return {"endpoint": f"localhost:{urlsplit(self.url).port}/", "tls": False}


@dataclass(frozen=True)
class Deployment:
    """The application as a process with one Ably. `room` is new in each test."""

    container: Container
    ably: Ably
    room: str

    @property
    def auth_url(self) -> str:
        return f"{self.container.url}/api/chat/token"

    def token(self, user: str, *roles: str) -> str:
        return self.container.token(user, roles=roles, ttl_s=3600)

    def call(self, user: str, method: str, path: str, **options: Any) -> Any:
        """What `/api/chat` answers `user`. Fails unless it is a success."""
        headers = {"Authorization": f"Bearer {self.token(user)}", **options.pop("headers", {})}
        url = f"{self.container.url}/api/chat{path}"
        with httpx.Client(verify=False, timeout=20, headers=headers) as http:
            answer = http.request(method, url, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def open_room(self, *members: str, joins_as: str = "member") -> None:
        """Make the room, which belongs to alice, and let all `members` join."""
        body = {"id": self.room, "title": "t", "is_public": True, "joins_as": joins_as}
        self.call("alice", "POST", "/rooms", json=body)
        for member in members:
            self.call(member, "POST", f"/rooms/{self.room}/join")

    async def node(self, script: str, user: str, *arguments: str) -> Any:
        """What a script of `node` prints as JSON, signed in as `user`."""
        return await self._run(self.ably.for_js, user, "node", str(NODE / script), *arguments)

    async def python(self, script: str, user: str, *arguments: str) -> Any:
        """What a script of `clients` prints as JSON, signed in as `user`."""
        command = (sys.executable, str(CLIENTS / script), *arguments)
        return await self._run(self.ably.for_python, user, *command)

    async def _run(self, options: dict[str, Any], user: str, *command: str) -> Any:
        environment = {
            "AUTH_URL": self.auth_url,
            "TOKEN": self.token(user),
            "ROOM": self.room,
            "CHANNEL": f"room:{self.room}",
            "ABLY": json.dumps(options),
        }
        return await printed_json(*command, within_s=WITHIN_S, **environment)
