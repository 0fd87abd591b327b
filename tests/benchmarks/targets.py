"""What is measured: each target is a server that streams and a way to publish to it."""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import httpx

from tests.benchmarks.publishers import LinePublisher, Publisher, TopicPublisher, http_client
from tests.benchmarks.servers import Server, running

TOPIC = "public:bench"


@dataclass(frozen=True)
class Target:
    """`server` alone is measured; whatever else it takes to publish is not counted."""

    server: Server
    publisher: Publisher
    request: bytes


@dataclass(frozen=True)
class Vendor:
    """The local Upstash-compatible server and its command meter."""

    url: str
    token: str

    async def commands(self) -> dict[str, int]:
        """Commands so far by name, and `billed` for their sum by the vendor's rules."""
        async with http_client(self.token) as http:
            reply = await http.get(f"{self.url}/_local/meter")
            reply.raise_for_status()
        meter = reply.json()
        return {"billed": meter["billed"], **meter["commands"]}


@contextlib.asynccontextmanager
async def line_target(name: str, arguments: list[str]) -> AsyncIterator[Target]:
    """A server of our own, which takes payloads line by line."""
    async with running(name, arguments) as server, http_client() as http:
        publisher = LinePublisher(server.announced["publish_url"], http)
        yield Target(server, publisher, _request("/events"))


@contextlib.asynccontextmanager
async def millrace_target(label: str, *, publish_elsewhere: bool) -> AsyncIterator[Target]:
    """The product. Published elsewhere, events reach the measured process by Redis alone."""
    async with contextlib.AsyncExitStack() as stack:
        upstash = await stack.enter_async_context(vendor(label))
        product = millrace(upstash, label, publish_elsewhere=publish_elsewhere)
        yield await stack.enter_async_context(product)


@contextlib.asynccontextmanager
async def vendor(label: str) -> AsyncIterator[Vendor]:
    token, readonly = secrets.token_hex(16), secrets.token_hex(16)
    arguments = ["infra.local.upstash", "--port", "0", "--token", token]
    async with running(f"{label}-upstash", [*arguments, "--readonly-token", readonly]) as server:
        yield Vendor(server.announced["url"], token)


@contextlib.asynccontextmanager
async def millrace(
    upstash: Vendor, label: str, *, publish_elsewhere: bool, doorbell: bool = False
) -> AsyncIterator[Target]:
    start, environment = ["functions.container"], _environment(upstash, doorbell=doorbell)
    async with contextlib.AsyncExitStack() as stack:
        enter = stack.enter_async_context
        labels = [label, f"{label}-writer"] if publish_elsewhere else [label]
        processes = (enter(running(each, start, environment)) for each in labels)
        server, *others = await asyncio.gather(*processes)
        writer = others[0] if others else server
        token = await _session(server.announced["url"])
        http = await enter(http_client(token))
        publisher = TopicPublisher(writer.announced["url"], TOPIC, http)
        yield Target(server, publisher, _request(f"/api/events?topic={TOPIC}", token))


def _environment(upstash: Vendor, *, doorbell: bool) -> dict[str, str]:
    return {
        "MILLRACE_ENV": "local",
        "MILLRACE_HOST": "127.0.0.1",
        "MILLRACE_PORT": "0",
        "MILLRACE_SECRET": secrets.token_hex(32),
        "MILLRACE_DOORBELL": str(int(doorbell)),
        "MILLRACE_JOB_WORKERS": "0",
        # One user at one address opens every stream and publishes every event.
        "MILLRACE_MAX_STREAMS_PER_USER": "1000000",
        "MILLRACE_MAX_STREAMS_PER_IP": "1000000",
        "MILLRACE_PUBLISH_PER_S": "1000000",
        "MILLRACE_PUBLISH_BURST": "1000000",
        "MILLRACE_NEW_TOPICS_PER_MINUTE": "0",
        # A whole burst fits between two polls; a shorter log would answer it with `reset`.
        "MILLRACE_TOPIC_MAX_EVENTS": "20000",
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "ABLY_API_KEY": "app.key:secretsecretsecret",  # pragma: allowlist secret
    }


async def _session(url: str) -> str:
    async with http_client() as http:
        reply = await http.post(
            f"{url}/api/dev/session", json={"user": "bench", "roles": ["admin"]}
        )
    if reply.is_error:
        raise httpx.HTTPStatusError(reply.text, request=reply.request, response=reply)
    return str(reply.json()["token"])


def _request(path: str, token: str | None = None) -> bytes:
    lines = [f"GET {path} HTTP/1.1", "Host: 127.0.0.1", "Accept: text/event-stream"]
    if token is not None:
        lines.append(f"Authorization: Bearer {token}")
    return "\r\n".join([*lines, "", ""]).encode()


FLOOR, PEER, MILLRACE, MILLRACE_LOCAL = "floor", "litestar-sse", "millrace", "millrace-local"
TARGETS: dict[str, Callable[[], AbstractAsyncContextManager[Target]]] = {
    FLOOR: lambda: line_target(FLOOR, ["tests.benchmarks.floor"]),
    PEER: lambda: line_target(PEER, ["tests.benchmarks.peer"]),
    MILLRACE: lambda: millrace_target(MILLRACE, publish_elsewhere=True),
    MILLRACE_LOCAL: lambda: millrace_target(MILLRACE_LOCAL, publish_elsewhere=False),
}
