"""One of several in a room: waits until all are there, says one thing, and hears everybody."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from ably import AblyRealtime, AblyRest

PORT, KEY = os.environ["PORT"], os.environ["KEY"]
NAME, COUNT = sys.argv[1], int(sys.argv[2])


async def main() -> None:
    async def sign(_: Any) -> Any:
        params = {"client_id": NAME, "capability": {"room:*": ["*"]}}
        return await signer.auth.create_token_request(params)

    signer = AblyRest(KEY)
    client = AblyRealtime(auth_callback=sign, endpoint=f"localhost:{PORT}/", tls=False)
    channel = client.channels.get("room:all")
    heard: list[Any] = []
    await channel.subscribe(lambda one: heard.append([one.client_id, one.data]))
    await channel.presence.enter()
    while len(await channel.presence.get()) != COUNT:
        await asyncio.sleep(0.005)
    await channel.publish("said", {"from": NAME})
    while len(heard) < COUNT:
        await asyncio.sleep(0.005)
    await client.close()
    await signer.close()
    print(json.dumps(heard))


asyncio.run(main())
