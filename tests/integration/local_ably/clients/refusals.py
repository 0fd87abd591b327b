"""What the server says no to, over REST and Realtime, and how often it is asked again."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from ably import AblyRealtime, AblyRest
from ably.types.channeloptions import ChannelOptions
from ably.types.connectionstate import ConnectionState
from ably.types.message import Message
from ably.util.exceptions import AblyException

PORT, KEY = os.environ["PORT"], os.environ["KEY"]
JWTS = sys.argv[1:]
ADDRESS: dict[str, Any] = {"endpoint": f"localhost:{PORT}/", "tls": False}


async def refusal(work: Any) -> list[int] | None:
    try:
        await work
    except AblyException as error:
        return [int(error.status_code), int(error.code)]
    return None


async def presented(jwt: str) -> list[Any]:
    """The refusals of a JWT over REST and Realtime, and how often both asked for one."""
    calls = 0

    async def sign(_: Any) -> str:
        nonlocal calls
        calls += 1
        return jwt

    async with AblyRest(auth_callback=sign, **ADDRESS) as rest:
        over_rest = await refusal(rest.channels.get("a").history())
    realtime = AblyRealtime(auth_callback=sign, **ADDRESS)
    change = await realtime.connection.once_async()
    while change.current.value == "connecting":
        change = await realtime.connection.once_async()
    await realtime.close()
    return [over_rest, change.current.value, change.reason.code, calls]


async def main() -> None:
    results: dict[str, Any] = {"jwts": [await presented(jwt) for jwt in JWTS]}
    rest = AblyRest(KEY, use_token_auth=True, **ADDRESS)
    capabilities: list[Any] = [["publish_"], ["*", "publish"], []]
    results["capabilities"] = [
        await refusal(rest.auth.request_token({"capability": {"*": operations}}))
        for operations in capabilities
    ]
    channel = rest.channels.get("a")
    stray = Message(data="x", connection_key="should.be.wrong")
    results["connectionKey"] = await refusal(channel.publish(messages=[stray]))
    series = [Message(id="x:0", data="0"), Message(id="y:1", data="1")]
    results["ids"] = await refusal(channel.publish(messages=series))
    await rest.close()

    realtime = AblyRealtime(KEY, **ADDRESS)
    known = ChannelOptions(params={"delta": "vcdiff", "modes": "subscribe"})
    attached = realtime.channels.get("params", known)
    await attached.attach()
    results["params"] = attached.params
    manager = realtime.connection.connection_manager
    manager.connection_details.connection_key = "0123456789!unknown"
    await manager.transport.dispose()
    manager.notify_state(ConnectionState.DISCONNECTED)
    results["resumed"] = (await realtime.connection.once_async("connected")).reason.code
    await realtime.close()
    print(json.dumps(results))


asyncio.run(main())
