"""Raw HTTP and raw sockets to the local Ably server, with its key unless a test says otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.support.ably_server import AblyServer
from tests.support.ably_tokens import signed_request

Frame = dict[str, Any]
_WITHIN_S = 5


class RealtimeSocket:
    """One WebSocket that speaks JSON frames."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def say(self, action: int, **fields: Any) -> None:
        await self._socket.send(json.dumps({"action": action, **fields}))

    async def next(self) -> Frame:
        """The next frame, whatever it is."""
        async with asyncio.timeout(_WITHIN_S):
            found: Frame = json.loads(await self._socket.recv())
        return found

    async def hear(self, action: int) -> Frame:
        """The next frame of this action; heartbeats and the like pass."""
        async with asyncio.timeout(_WITHIN_S):
            while (frame := json.loads(await self._socket.recv()))["action"] != action:
                pass
        found: Frame = frame
        return found

    async def ask(self, action: int, expected: int, **fields: Any) -> Frame:
        await self.say(action, **fields)
        return await self.hear(expected)

    async def until_closed(self) -> int | None:
        """The code that the socket was closed with."""
        async with asyncio.timeout(_WITHIN_S):
            await self._socket.wait_closed()
        return self._socket.close_code

    async def close(self) -> None:
        await self._socket.close()


Dial = Callable[..., Any]
Token = Callable[..., str]


def bearer(token: str) -> dict[str, str]:
    """The Authorization header with a token."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture
async def rest(ably: AblyServer) -> AsyncIterator[httpx.AsyncClient]:
    name, _, secret = ably.key.partition(":")
    async with httpx.AsyncClient(
        base_url=ably.url, auth=(name, secret), timeout=10, verify=False
    ) as http:
        yield http


@pytest.fixture
async def dial(ably: AblyServer) -> AsyncIterator[Dial]:
    """Opens sockets; `path` and query parameters may be given, the key is shown by default."""
    async with contextlib.AsyncExitStack() as stack:

        async def open_one(path: str = "/", **query: str) -> RealtimeSocket:
            if not {"key", "access_token", "accessToken"} & query.keys():
                query["key"] = ably.key
            address = f"ws://127.0.0.1:{ably.port}{path}?{urlencode(query)}"
            socket = RealtimeSocket(await connect(address, proxy=None))
            stack.push_async_callback(socket.close)
            return socket

        yield open_one


@pytest.fixture
def token(ably: AblyServer) -> Token:
    """Tokens for signed requests with the given fields."""

    def issue(**fields: Any) -> str:
        request = signed_request(ably.key, **fields)
        answer = httpx.post(f"{ably.url}/keys/{request['keyName']}/requestToken", json=request)
        assert answer.status_code == httpx.codes.CREATED, answer.text
        issued: str = answer.json()["token"]
        return issued

    return issue
