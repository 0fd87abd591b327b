"""The vendor's Python client, unmodified: REST and Realtime, in one format."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from ably import AblyRealtime, AblyRest
from ably.util.exceptions import AblyException

PORT, KEY = os.environ["PORT"], os.environ["KEY"]
# The slash is needed: the realtime client ignores ports that are given otherwise.
ADDRESS: dict[str, Any] = {"endpoint": f"localhost:{PORT}/", "tls": False}
BINARY = sys.argv[1] == "msgpack"
MEMBER = {"room:*": ["publish", "subscribe", "presence", "history"]}
READER = {"room:*": ["subscribe", "history"]}


def realtime(client_id: str, capability: dict[str, list[str]], **options: Any) -> AblyRealtime:
    """A client whose requests are signed as an application's server would."""

    async def sign(_: Any) -> Any:
        params = {"client_id": client_id, "capability": capability}
        return await signer.auth.create_token_request(params)

    return AblyRealtime(auth_callback=sign, use_binary_protocol=BINARY, **ADDRESS, **options)


signer = AblyRest(KEY)


async def code(work: Any) -> int | None:
    try:
        await work
    except AblyException as error:
        return int(error.code)
    return None


async def until(is_true: Any) -> None:
    while not is_true():
        await asyncio.sleep(0.005)


async def over_rest(results: dict[str, Any]) -> None:
    rest = AblyRest(KEY, use_token_auth=True, use_binary_protocol=BINARY, **ADDRESS)
    channel = rest.channels.get("room:rest")
    for name in "abc":
        await channel.publish(name, {"n": name})
    page = await channel.history(limit=2)
    following = await page.next()
    results["pages"] = [[one.name for one in page.items], [one.data for one in following.items]]
    body = {"channels": ["room:a", "room:b"], "messages": {"name": "x", "data": "y"}}
    batch = await rest.request("POST", "/messages", "3", body=body)
    results["batch"] = batch.items[0]["successCount"]
    results["status"] = (await channel.status()).channel_id
    results["time"] = await rest.time() > 0
    await rest.close()


async def over_realtime(results: dict[str, Any]) -> None:
    alice, rita = realtime("alice", MEMBER), realtime("rita", READER)
    heard: list[Any] = []
    events: list[Any] = []
    theirs, ours = rita.channels.get("room:1"), alice.channels.get("room:1")
    await theirs.subscribe(lambda one: heard.append([one.name, one.data, one.client_id]))
    await theirs.presence.subscribe(lambda one: events.append([int(one.action), one.client_id]))
    await ours.attach()
    await ours.publish("text", "grüße 😀")
    await ours.publish("object", {"a": [1, None]})
    await ours.publish("bytes", bytearray(b"\x00\xff"))
    await until(lambda: len(heard) == 3)
    heard[2][1] = list(heard[2][1])
    results["heard"] = heard
    await ours.presence.enter("here")
    await until(lambda: events)
    results["present"] = [[one.client_id, one.data] for one in await theirs.presence.get()]
    await ours.presence.leave()
    await until(lambda: len(events) == 2)
    results["presence"] = events
    results["readerPublishes"] = await code(theirs.publish("x", "y"))
    results["foreignAttach"] = await code(rita.channels.get("other").attach())
    results["connectionAfter"] = rita.connection.state.value
    await alice.close()
    await rita.close()


async def main() -> None:
    results: dict[str, Any] = {}
    await over_rest(results)
    await over_realtime(results)
    await signer.close()
    print(json.dumps(results))


asyncio.run(main())
