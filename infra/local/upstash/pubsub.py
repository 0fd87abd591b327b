"""SUBSCRIBE, PSUBSCRIBE and MONITOR as server-sent events."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from infra.local.upstash.call import Call
from infra.local.upstash.encode import encode_error
from infra.local.upstash.engine import Engine
from infra.local.upstash.link import Link
from infra.local.upstash.meter import Meter
from infra.local.upstash.resp import Command, ErrorReply, Reply, Status

_UNIX_CLIENT = re.compile(rb"^(\S+ \[\d+ )unix:[^\]]*\]")
_OWN_BRACKETS = re.compile(rb'^\S+ \[[^\]]*\] "(MULTI|EXEC|INFO" "commandstats)"')


@dataclass(frozen=True, slots=True)
class Subscription:
    """The command that begins a stream, and the name of the one that ends it, if there is one."""

    command: Command
    end: str

    @classmethod
    def of_path(cls, path: bytes) -> Subscription | None:
        """Read `/subscribe/ch`, `/psubscribe/p*` or `/monitor`; None for other paths.

        All after the second slash is one name, because the vendor's client does not encode it.
        """
        word, _, raw_name = path.removeprefix(b"/").partition(b"/")
        match word.lower():
            case b"subscribe" if raw_name:
                return cls([b"SUBSCRIBE", unquote_to_bytes(raw_name)], "UNSUBSCRIBE")
            case b"psubscribe" if raw_name:
                return cls([b"PSUBSCRIBE", unquote_to_bytes(raw_name)], "PUNSUBSCRIBE")
            case b"monitor" if not raw_name:
                return cls([b"MONITOR"], "")
        return None


def event(reply: Reply) -> bytes | None:
    """The SSE event for one push of the engine; None if the client must not see it."""
    if isinstance(reply, list):
        return _data(b",".join(_field(field) for field in reply))
    if not isinstance(reply, Status):
        return None
    if reply == b"OK":
        return _data(b'"OK"')
    if _OWN_BRACKETS.search(reply):
        return None
    return _data(_UNIX_CLIENT.sub(rb"\g<1>0.0.0.0:0]", reply))


class Streams:
    """The open event streams, each with its own connection to the engine."""

    def __init__(self, engine: Engine, meter: Meter) -> None:
        self._engine = engine
        self._meter = meter
        self._pumps: set[asyncio.Task[None]] = set()

    async def serve(self, call: Call, subscription: Subscription) -> None:
        """Stream until the client leaves, the engine dies or `cut_all`."""
        async with self._engine.stream(subscription.command) as (link, first):
            self._meter.add(subscription.command[0].decode())
            if isinstance(first, ErrorReply):
                await call.reply(400, encode_error(first))
                return
            await call.start_stream()
            await call.write(event(first) or b"")
            await self._until_either_leaves(call, link)
            if subscription.end:
                self._meter.add(subscription.end)

    def cut_all(self) -> None:
        """Close all open streams as a broken network would, without a last chunk."""
        for pump in self._pumps:
            pump.cancel()

    async def _until_either_leaves(self, call: Call, link: Link) -> None:
        pump = asyncio.create_task(_pump(link, call))
        gone = asyncio.create_task(call.gone())
        self._pumps.add(pump)
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._pumps.discard(pump)
            is_client_gone = gone.done()
            pump.cancel()
            gone.cancel()
            await asyncio.gather(pump, gone, return_exceptions=True)
        if not is_client_gone:
            await call.hang_up()


async def _pump(link: Link, call: Call) -> None:
    while True:
        chunk = event(await link.receive())
        if chunk is not None:
            await call.write(chunk)


def _field(field: Reply) -> bytes:
    if isinstance(field, bytes):
        return field
    return b"" if field is None else str(field).encode()


def _data(line: bytes) -> bytes:
    # A line break inside a payload must not end the event or begin another one.
    text = line.decode("utf-8", "replace").encode()
    return b"data: " + b"\ndata: ".join(re.split(rb"\r\n|\r|\n", text)) + b"\n\n"
