"""`/_local/*`: the meter, the faults and the flush, for tests. It is no part of the service."""

from __future__ import annotations

import msgspec

from infra.local.upstash.call import Call
from infra.local.upstash.encode import encode_error
from infra.local.upstash.engine import Engine
from infra.local.upstash.faults import FaultChange, Faults
from infra.local.upstash.meter import Meter
from infra.local.upstash.pubsub import Streams
from infra.local.upstash.resp import Command

PREFIX = b"/_local/"
_DONE = b'{"result":"OK"}'
_NEW_DATABASE: list[Command] = [[b"FLUSHALL"], [b"SCRIPT", b"FLUSH"], [b"FUNCTION", b"FLUSH"]]


class Control:
    """Answers `/_local/*`. Its commands are not billed, and faults do not touch it."""

    def __init__(self, engine: Engine, meter: Meter, faults: Faults, streams: Streams) -> None:
        self._engine = engine
        self._meter = meter
        self._faults = faults
        self._streams = streams

    async def answer(self, call: Call) -> None:
        match call.method, call.path.removeprefix(PREFIX):
            case "GET", b"meter":
                await call.reply(200, msgspec.json.encode(self._meter.snapshot()))
                return
            case "DELETE", b"meter":
                self._meter.reset()
            case "PUT", b"faults":
                await self._change_faults(call)
                return
            case "DELETE", b"faults":
                self._faults.clear()
            case "POST", b"flush":
                await self._engine.exchange(_NEW_DATABASE)
            case _:
                await call.reply(404, encode_error("ERR no such control"))
                return
        await call.reply(200, _DONE)

    async def _change_faults(self, call: Call) -> None:
        try:
            change = msgspec.json.decode(await call.body(), type=FaultChange)
        except msgspec.MsgspecError as error:
            await call.reply(400, encode_error(f"ERR {error}"))
            return
        self._faults.change(change)
        if change.cut_subscribers:
            self._streams.cut_all()
        await call.reply(200, _DONE)
