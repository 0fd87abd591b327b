"""A connection of the vendor's Python client is cut; what was said meanwhile arrives once."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from typing import Any

import httpx
from ably import AblyRealtime, AblyRest

PORT, KEY = os.environ["PORT"], os.environ["KEY"]
MESSAGES = f"http://127.0.0.1:{PORT}/channels/room:1/messages"
BASIC = {"authorization": f"Basic {base64.b64encode(KEY.encode()).decode()}"}


async def main() -> None:
    async def sign(_: Any) -> Any:
        params = {"client_id": "alice", "capability": {"room:*": ["*"]}}
        return await signer.auth.create_token_request(params)

    async def say(*names: str) -> None:
        for name in names:
            await http.post(MESSAGES, json={"name": name})

    async def until(is_true: Any) -> None:
        while not is_true():
            await asyncio.sleep(0.005)

    signer = AblyRest(KEY)
    http = httpx.AsyncClient(headers=BASIC, verify=False)
    client = AblyRealtime(auth_callback=sign, endpoint=f"localhost:{PORT}/", tls=False)
    channel = client.channels.get("room:1")
    heard: list[str] = []
    states: list[str] = []
    await channel.subscribe(lambda one: heard.append(one.name))
    client.connection.on(lambda change: states.append(change.current.value))
    await channel.publish("1", None)
    await say("2")
    await until(lambda: len(heard) == 2)
    before = client.connection.connection_manager.connection_id
    await http.post(f"http://127.0.0.1:{PORT}/_local/drop")
    await say("3", "4")
    await until(lambda: "connected" in states)
    await channel.publish("5", None)
    await until(lambda: "5" in heard)
    same = client.connection.connection_manager.connection_id == before
    await client.close()
    await signer.close()
    await http.aclose()
    print(json.dumps({"heard": heard, "sameConnection": same}))


asyncio.run(main())
