"""One HTTP/1.1 connection of the container, which protects itself.

uvicorn with httptools has no limit on a request's head, waits for ever for the rest of a
request, and loses the body of a request that offers another protocol. No proxy is needed in
front for any of that: all refusals are problem documents, sent before the application is asked.
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
from api.problems import (
    ApiError,
    BadRequest,
    HeadTooLarge,
    RequestTimedOut,
    TooManyConnections,
    UrlTooLong,
)
from api.settings import Settings

log = structlog.get_logger()

# Each waits as a task, and one read of the socket could hold ten thousand of them.
MAX_PIPELINED = 16
# A field is more than its name and value: the colon, the blank and the end of the line.
FIELD_OVERHEAD_BYTES = 4
# For how long a refused client may go on sending. If we closed at once, the kernel would answer
# what still comes by a reset, which deletes the refusal before the client has read it.
LINGER_S = 2.0
# What offers another protocol (RFC 9110, 7.8; RFC 7540, 3.2). It concerns one connection only.
OFFER = frozenset({b"upgrade", b"http2-settings"})


@dataclass(frozen=True, slots=True)
class Limits:
    """What one connection may ask of the process, and how many connections there may be."""

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
    """What the client has begun and not ended."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class CycleTransport:
    """The transport as one request has it: closing it is the connection's business."""

    def __init__(self, transport: asyncio.Transport, close: Callable[[], None]) -> None:
        self.write = transport.write
        self.is_closing = transport.is_closing
        self.close = close


class Connection(HttpToolsProtocol):
    """Answers 414, 431, 408, 400 and 503 by itself; everything else is the application's."""

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
        # Given to the parser since it last came further. It keeps unfinished fields, and takes
        # blank lines, trailers and extensions of chunks for as long as they come.
        self._unparsed_bytes = 0
        self._refusal: ApiError | None = None
        # What the application answers now. With requests sent ahead, `cycle` is a later one.
        self._answering: RequestResponseCycle | None = None
        self._is_lingering = False  # all is answered, and the rest of a body is still read

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(TooManyConnections())
            transport.close()
            return
        # Browsers open connections that they may not use: one that says nothing gets no answer.
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
        """Read the head again without its offer to change the protocol, then the body behind it.

        The parser takes what follows such a head for the other protocol, body and all. Java's
        HttpClient and `curl --http2` make that offer on every request.
        """
        if self.parser.get_method() == b"CONNECT":
            return  # a tunnel: what follows is no body
        version = self.parser.get_http_version().encode()
        lines = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            kept = _without_offer(value) if name == b"connection" else value
            if name not in OFFER and kept:
                lines.append(name + b": " + kept)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's
        self._await(Awaited.HEAD)
        self._feed(b"\r\n".join(lines) + b"\r\n\r\n" + rest)

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def _hang_up(self) -> None:
        """Tell the application that nobody reads its answer.

        uvicorn tells only the newest request. A stream with another request behind it would be
        held for its whole life, with its lease, by a client that is gone.
        """
        if self._answering is not None and not self._answering.response_complete:
            self._answering.disconnected = True
            self._answering.message_event.set()

    # What the parser calls. An exception makes it stop, which `_feed` sees.

    def on_message_begin(self) -> None:
        self._await(Awaited.HEAD)
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        super().on_url(url)
        if len(self.url) > self._limits.url_bytes:
            self._stop(UrlTooLong())

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers come after the caller was identified, and must not pass for header fields
        # (RFC 9110, 6.5.1).
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

    # Deadlines

    def _await(self, awaited: Awaited) -> None:
        self._awaited = awaited
        self._unparsed_bytes = 0
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _watch(self) -> None:
        """Give what is awaited its time, once: each further byte must not prolong it."""
        if self._awaited is Awaited.NOTHING or self._deadline:
            return
        limits = self._limits
        seconds = limits.head_s if self._awaited is Awaited.HEAD else limits.body_s
        self._deadline = self.loop.call_later(seconds, self._too_late)

    def _too_late(self) -> None:
        self._deadline = None
        if self._is_answering():
            self._watch()  # the answer holds the connection anyway, and must not be cut
        elif self._awaited is Awaited.BODY and self.cycle.response_complete:
            self.transport.close()
        else:
            self._refuse(RequestTimedOut())

    def _is_answering(self) -> bool:
        """Whether an answer is under way, or one to an earlier request is still to come."""
        # uvicorn does not say that it is None at first.
        if self.cycle is None or self.cycle.response_complete:  # type: ignore[redundant-expr]
            return False
        if self._awaited is Awaited.HEAD or self.pipeline:
            return True
        return self.cycle.response_started

    # Ends

    def _close(self) -> None:
        """Close behind the last answer, when the body that it did not wait for is read.

        If we closed before, the kernel would answer the rest by a reset, which deletes the
        answer before the client has read it (RFC 9112, 9.6).
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


def _without_offer(value: bytes) -> bytes:
    options = [option.strip() for option in value.split(b",")]
    return b", ".join(option for option in options if option.lower() not in OFFER)


def _answer(error: ApiError) -> bytes:
    fields, body = answer_of(error)
    status = HTTPStatus(error.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body
