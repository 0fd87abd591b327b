"""A connection by ably-python that outlives its token: renewed after the end, nothing missed."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

from ably import AblyRealtime
from ably.types.connectionstate import ConnectionState


async def main() -> None:
    client = AblyRealtime(
        auth_url=f"{os.environ['AUTH_URL']}?format=jwt",
        auth_headers={"Authorization": f"Bearer {os.environ['TOKEN']}"},
        auth_params={"ttl": "2000"},
        **json.loads(os.environ["ABLY"]),
    )
    states: list[Any] = []

    def changed(change: Any) -> None:  # the SDK takes functions of Python only
        states.append(change)

    client.connection.on(changed)
    channel = client.channels.get(os.environ["CHANNEL"])
    heard: list[Any] = []
    await channel.subscribe(lambda one: heard.append(one.data))
    first = client.auth.token_details.token
    await channel.publish("m", "before")
    while not any(change.current is ConnectionState.DISCONNECTED for change in states):
        await asyncio.sleep(0.01)
    await client.connection.once_async(ConnectionState.CONNECTED)
    await channel.publish("m", "after")
    while len(heard) < 2:
        await asyncio.sleep(0.01)
    results = {"heard": heard, "renewed": client.auth.token_details.token != first}
    await client.close()
    print(json.dumps(results))


asyncio.run(main())
