"""The peer: Litestar's own `ServerSentEvent`, fed by its channels plugin, under uvicorn."""

from collections.abc import AsyncIterator

from litestar import Litestar, Request, get, post
from litestar.channels import ChannelsPlugin
from litestar.channels.backends.memory import MemoryChannelsBackend
from litestar.datastructures import State
from litestar.response import ServerSentEvent, ServerSentEventMessage

from tests.benchmarks.announced import serve

_CHANNEL = "bench"


async def ticks(channels: ChannelsPlugin) -> AsyncIterator[ServerSentEventMessage]:
    async with channels.start_subscription(_CHANNEL) as subscriber:
        yield ServerSentEventMessage(event="connected", data="{}")
        async for payload in subscriber.iter_events():
            yield ServerSentEventMessage(event="tick", data=payload)


@get("/events")
async def read_events(channels: ChannelsPlugin) -> ServerSentEvent:
    return ServerSentEvent(ticks(channels))


@post("/publish", status_code=204)
async def publish(request: Request[object, object, State], channels: ChannelsPlugin) -> None:
    for payload in (await request.body()).splitlines():
        channels.publish(payload, _CHANNEL)


app = Litestar(
    [read_events, publish],
    plugins=[ChannelsPlugin(MemoryChannelsBackend(), channels=[_CHANNEL])],
    openapi_config=None,
)

if __name__ == "__main__":
    serve(app)
