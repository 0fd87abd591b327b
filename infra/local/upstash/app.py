"""The ASGI application: it checks the token, runs the commands, and plays the faults."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from infra.local.asgi import ASGIMessage, Receive, Send
from infra.local.upstash import parse
from infra.local.upstash.auth import UNAUTHORIZED, Access, Tokens, presented_token
from infra.local.upstash.call import JSON, MAX_BYTES, Call, TooLarge
from infra.local.upstash.commands import denied, name_of
from infra.local.upstash.control import PREFIX, Control
from infra.local.upstash.encode import (
    Format,
    FormatError,
    choose_format,
    encode_batch,
    encode_error,
    encode_single,
)
from infra.local.upstash.engine import EngineBusy, EngineUnavailable
from infra.local.upstash.execute import Executor
from infra.local.upstash.faults import Fault, Faults
from infra.local.upstash.pubsub import Streams, Subscription
from infra.local.upstash.resp import Command, ErrorReply

_METHODS = frozenset({"HEAD", "GET", "POST", "PUT"})
_QUOTA = encode_error("ERR max requests limit exceeded. Limit: 500000, Usage: 500000")
_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body>502</body></html>"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    content_type: bytes = JSON


class App:
    """Answers the requests to one database."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        executor: Executor,
        streams: Streams,
        faults: Faults,
        control: Control,
    ) -> None:
        self._tokens = tokens
        self._executor = executor
        self._streams = streams
        self._faults = faults
        self._control = control

    async def __call__(self, scope: ASGIMessage, receive: Receive, send: Send) -> None:
        call = Call(scope, receive, send)
        try:
            await self._admit(call)
        except (parse.ParseError, FormatError, TooLarge) as error:
            await call.reply(400, encode_error(str(error)))
        except EngineBusy:
            await call.reply(400, encode_error("ERR max concurrent connections exceeded"))
        except EngineUnavailable as error:
            await call.reply(503, encode_error(f"ERR the local engine is unavailable: {error}"))

    async def _admit(self, call: Call) -> None:
        is_control = call.path.startswith(PREFIX)
        if self._faults.refuse and not is_control:
            await call.hang_up()
            return
        if call.method not in _METHODS and not is_control:
            await call.reply(405, encode_error("ERR method not allowed"))
            return
        presented = presented_token(call.header(b"authorization"), call.query)
        access = self._tokens.access_of(presented)
        if access is None or (is_control and access is not Access.FULL):
            await call.reply(401, encode_error(UNAUTHORIZED))
        elif is_control:
            await self._control.answer(call)
        elif (subscription := Subscription.of_path(call.path)) is not None:
            await self._listen(call, access, subscription)
        else:
            await self._command(call, access)

    async def _listen(self, call: Call, access: Access, subscription: Subscription) -> None:
        if access is not Access.FULL:
            await call.reply(400, encode_error(denied(subscription.command)))
            return
        await call.body()
        cleared = self._faults.released
        fault = self._faults.take([name_of(subscription.command)])
        await self._faults.way_in()
        if fault in {Fault.LOSE_REPLIES, Fault.CUT}:
            await call.hang_up()
        elif not await self._fails_early(call, fault, cleared):
            await self._streams.serve(call, subscription)

    async def _command(self, call: Call, access: Access) -> None:
        body = await call.body()
        form = choose_format(
            call.header(b"upstash-encoding") or b"",
            call.header(b"upstash-response-format") or b"",
            has_resp2=call.path != b"/multi-exec",
        )
        commands = _commands(call, body)
        cleared = self._faults.released
        fault = self._faults.take([name_of(command) for command in commands])
        await self._faults.way_in()
        if await self._fails_early(call, fault, cleared):
            return
        answer = await self._run(call.path, commands, access, form)
        await self._faults.way_back()
        if fault is Fault.LOSE_REPLIES:
            await call.hang_up()
        elif fault is Fault.CUT:
            await call.reply_half(answer.status, answer.body)
        else:
            await call.reply(answer.status, answer.body, answer.content_type)

    async def _run(
        self, path: bytes, commands: list[Command], access: Access, form: Format
    ) -> _Answer:
        if path == b"/multi-exec":
            outcome = await self._executor.transact(commands, access)
            if isinstance(outcome, ErrorReply):
                return _Answer(400, encode_error(outcome))
            status, body = 200, encode_batch(outcome, form)
        elif path == b"/pipeline":
            replies = await self._executor.run(commands, access)
            status, body = 200, encode_batch(replies, form)
        else:
            [reply] = await self._executor.run(commands, access)
            status = 400 if isinstance(reply, ErrorReply) else 200
            body = encode_single(reply, form)
        if len(body) > MAX_BYTES:
            raise TooLarge(len(body))
        content_type = b"application/octet-stream" if form is Format.RESP2 else JSON
        return _Answer(status, body, content_type)

    async def _fails_early(self, call: Call, fault: Fault | None, cleared: asyncio.Event) -> bool:
        if fault is Fault.BAD_GATEWAY:
            await call.reply(502, _BAD_GATEWAY, b"text/html")
        elif fault is Fault.QUOTA:
            await call.reply(400, _QUOTA)
        elif fault is Fault.SILENT:
            await self._keep_silent(call, cleared)
        else:
            return False
        return True

    async def _keep_silent(self, call: Call, cleared: asyncio.Event) -> None:
        gone = asyncio.create_task(call.gone())
        released = asyncio.create_task(cleared.wait())
        await asyncio.wait({gone, released}, return_when=asyncio.FIRST_COMPLETED)
        is_gone = gone.done()
        gone.cancel()
        released.cancel()
        await asyncio.gather(gone, released, return_exceptions=True)
        if not is_gone:
            await call.hang_up()


def _commands(call: Call, body: bytes) -> list[Command]:
    if call.path in {b"/pipeline", b"/multi-exec"}:
        return parse.parse_batch(body)
    if call.path == b"/":
        return [parse.parse_command(body)]
    return [parse.parse_path(call.path, call.query, body)]
