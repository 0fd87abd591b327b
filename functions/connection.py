"""One HTTP/1.1 connection of the container, which protects itself.

uvicorn with httptools does not limit the head of a request, waits without end for the rest of a
request, and loses the body of a request that offers another protocol. This connection does not,
so no proxy is needed. Each refusal is a problem document; the application does not see it.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, cast

import httptools
import structlog
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from api.problem_json import answer_of
from api.problems import ApiError, BadRequest
from api.settings import Settings
from functions.protocol_offer import head_without_offer
from functions.refusals import HeadTooLarge, RequestTimedOut, TooManyConnections, UrlTooLong

log = structlog.get_logger()

# Requests sent ahead wait as tasks, and one read of the socket could bring ten thousand of them.
MAX_PIPELINED = 16
# A field is more than its name and value: the colon, the blank and the end of the line.
FIELD_OVERHEAD_BYTES = 4
# How long a refused client may still send. If we closed at once, the kernel would answer what
# still comes by a reset, and the client would lose the refusal before it has read it.
LINGER_S = 2.0


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one connection, and how many connections there may be."""

    url_bytes: int
    head_bytes: int
    head_s: float
    body_s: float
    connections: int

    @classmethod
    def of(cls, settings: Settings) -> "Limits":
        return cls(
            url_bytes=settings.max_url_bytes,
            head_bytes=settings.max_head_bytes,
            head_s=settings.head_timeout_s,
            body_s=settings.body_timeout_s,
            connections=settings.max_connections,
        )


class Awaited(Enum):
    """The part of a request that the client has begun and not ended."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class CycleTransport:
    """The transport that one request gets. When it closes it, the connection decides how."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Connection(HttpToolsProtocol):
    """A connection that answers 414, 431, 408, 400 and 503 without the application."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        limits: Limits,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._limits = limits
        self._awaited = Awaited.NOTHING
        self._deadline: asyncio.TimerHandle | None = None
        # Bytes that the parser took since it last reported something. It keeps unfinished fields,
        # and takes blank lines, trailers and extensions of chunks without a limit.
        self._unparsed_bytes = 0
        self._refusal: ApiError | None = None
        # The request that the application answers now. `cycle` is the newest one, which may wait.
        self._answering: RequestResponseCycle | None = None
        self._is_lingering = False  # all is answered, and the rest of a body is still read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(TooManyConnections())
            transport.close()
            return
        # Browsers open connections before they need them: a silent one is closed without an answer.
        self._deadline = self.loop.call_later(self._limits.head_s, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._await(Awaited.NOTHING)
        super().connection_lost(exc)
        self._hang_up()

    def data_received(self, data: bytes) -> None:
        if self._refusal:
            return
        self._unset_keepalive_if_required()
        if self._awaited is Awaited.NOTHING:
            self._await(Awaited.HEAD)
        self._unparsed_bytes += len(data)
        self._feed(data)
        if not self._refusal and self._unparsed_bytes > self._limits.head_bytes:
            self._refusal = HeadTooLarge()
        if self._refusal:
            self._refuse(self._refusal)
        else:
            self._watch()

    def _feed(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except httptools.HttpParserError:
            self._refusal = self._refusal or BadRequest("This is not HTTP/1.1.")

    def _decline(self, rest: bytes) -> None:
        """Read the head again without its offer to change the protocol, and then the body.

        The parser takes all that follows such a head for the other protocol, the body too. Java's
        HttpClient and `curl --http2` make that offer on every request.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            return  # a tunnel: what follows is no body
        head = head_without_offer(method, self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._await(Awaited.HEAD)
        self._feed(head + rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _hang_up(self) -> None:
        """Tell the application that nobody reads its answer.

        uvicorn tells only the newest request. A stream with another request behind it would keep
        its lease for its whole life, though its client is gone.
        """
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    # The parser calls these. An exception stops it, which `_feed` catches.

    def on_message_begin(self) -> None:
        self._await(Awaited.HEAD)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._stop(UrlTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers must not count as headers: they come after the caller was identified, and could
        # claim to be another one (RFC 9110, 6.5.1).
        if self._awaited is Awaited.HEAD:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        size = len(self.url) + sum(
            len(name) + len(value) + FIELD_OVERHEAD_BYTES for name, value in self.headers
        )
        if size > self._limits.head_bytes:
            self._stop(HeadTooLarge())
        if self._is_offer():
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._stop(BadRequest("Too many requests at once on one connection."))
        super().on_headers_complete()
        own = CycleTransport(self.transport, self._close)
        self.cycle.transport = cast("asyncio.Transport", own)
        self._await(Awaited.BODY)

    def on_body(self, body: bytes) -> None:
        self._unparsed_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self._is_offer():
            return
        super().on_message_complete()
        self._await(Awaited.NOTHING)
        if self._is_lingering:
            self.transport.close()

    def _is_offer(self) -> bool:
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _await(self, awaited: Awaited) -> None:
        self._awaited = awaited
        self._unparsed_bytes = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _watch(self) -> None:
        """Start the time of what is awaited, once, so that further bytes do not prolong it."""
        if self._awaited is Awaited.NOTHING or self._deadline:
            return
        limits = self._limits
        seconds = limits.head_s if self._awaited is Awaited.HEAD else limits.body_s
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if self._is_answering():
            self._watch()  # the answer needs the connection, and must not be cut
        elif self._awaited is Awaited.BODY and self.cycle.response_complete:
            self.transport.close()
        else:
            self._refuse(RequestTimedOut())

    def _is_answering(self) -> bool:
        """Whether an answer has begun, or one to an earlier request is still to come."""
        # uvicorn does not say that it is None at first.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            return False
        if self._awaited is Awaited.HEAD or self.pipeline:
            return True
        return self.cycle.response_started

    def _close(self) -> None:
        """Close after the last answer, but first read the rest of a body.

        If we closed before, the kernel would answer the rest by a reset, and the client could
        lose the answer before it has read it (RFC 9112, 9.6).
        """
        if self._awaited is Awaited.BODY and not self.transport.is_closing():
            self._is_lingering = True
            self.transport.write_eof()
            self._watch()
        else:
            self.transport.close()

    def _stop(self, error: ApiError) -> None:
        self._refusal = error
        raise error

    def _refuse(self, error: ApiError) -> None:
        """Answer with `error` if no answer is under way, and take nothing more."""
        self._refusal = error
        is_answering = self._is_answering()
        self._await(Awaited.NOTHING)
        log.info("connection.refused", code=error.code)
        # The application gets a disconnect instead of the rest, and cannot answer as well.
        self._hang_up()
        if is_answering:
            self.transport.close()
            return
        self.flow.resume_reading()
        self.transport.write(_answer(error))
        self.transport.write_eof()
        self.loop.call_later(LINGER_S, self.transport.close)


def _answer(error: ApiError) -> bytes:
    fields, body = answer_of(error)
    status = HTTPStatus(error.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
