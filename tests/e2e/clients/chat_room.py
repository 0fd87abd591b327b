"""One of several in a room, by ably-python: hears everybody, says one thing, knows who is there."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from ably import AblyRealtime

NAME, COUNT = sys.argv[1], int(sys.argv[2])


async def until(is_true: Any) -> None:
    while not is_true():
        await asyncio.sleep(0.01)


async def main() -> None:
    client = AblyRealtime(
        # A JWT: for a token request the SDK would send our session's header on to Ably, too.
        auth_url=f"{os.environ['AUTH_URL']}?format=jwt",
        auth_headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
        **json.loads(os.environ["ABLY"]),
    )
    channel = client.channels.get(os.environ["CHANNEL"])
    heard: list[Any] = []
    await channel.subscribe(lambda one: heard.append([one.client_id, one.data]))
    await channel.presence.enter()
    while len(members := await channel.presence.get()) < COUNT:
        await asyncio.sleep(0.01)
    await channel.publish("said", {"from": NAME})
    await until(lambda: len(heard) >= COUNT)
    past = await channel.history(limit=COUNT)
    await client.close()
    results = {
        "heard": heard,
        "present": sorted(one.client_id for one in members),
        "past": sorted(one.client_id for one in past.items),
    }
    print(json.dumps(results))


asyncio.run(main())
