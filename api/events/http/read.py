"""Answers reads of topics over HTTP: with a stream or with JSON, from the same cursor.

The header `Accept` decides which of the two (RFC 9110, section 12.5.1). A JSON answer may be held
until there are events (a held poll).
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import msgspec
from litestar import Response
from litestar.datastructures.headers import Accept

from api.events.cursor import Cursor, cursor_text
from api.events.delivery import sse
from api.events.event import Event
from api.events.live.catch_up import CatchUp
from api.events.live.hub import Restarts
from api.events.log.page import ANSWER_BYTES, size_of
from api.events.read_request import ReadRequest
from api.events.stream.opening import AnyRequest, Events, admit_long_poll, open_stream
from api.events.stream.session import Streaming
from api.payloads.responses import JSON, json_response
from api.problems import NotAcceptable
from api.security.principal import Principal

MAX_EVENTS = 500  # in a JSON answer after which no more are read
BUSY_MS = 500  # the usual poll hint after an answer with events


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """The content of a JSON answer to a read.

    `restarts` are the topics that lost events. `cursor` is the one to send with the next read, and
    `more` says that there is more to read at once.
    """

    events: Sequence[Event]
    restarts: Restarts
    cursor: str
    more: bool

    @property
    def is_news(self) -> bool:
        """Whether it has anything to tell: events, or topics that lost events."""
        return bool(self.events or self.restarts)


def first_cursor(*given: str | None) -> Cursor | None:
    """Return the cursor in the first of these texts that is not empty; None if there is none.

    Callers pass what the client sent as `Last-Event-ID`, `lastEventId` and `cursor`, in this order.
    Raises `InvalidCursor`.
    """
    text = next(filter(None, given), None)
    return Cursor.parse(text) if text else None


async def answer_read(
    request: AnyRequest,
    events: Events,
    read_request: ReadRequest,
    *,
    principal: Principal,
    wait_s: int,
    conn: str | None,
    meanwhile: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Response[Any]:
    """Answer a read with a stream or with JSON, as the client's `Accept` says.

    The caller must have checked that `principal` may read the topics. A JSON answer waits for
    events for up to `wait_s` seconds. `conn` is as in `open_stream`. The context manager that
    `meanwhile()` returns is entered as long as the answer or stream lasts. Raises `NotAcceptable`,
    `OverConnectionLimit` and `RedisError`.
    """
    if not wants_json(request):
        return await open_stream(
            request, events, read_request, principal=principal, conn=conn, meanwhile=meanwhile
        )
    counted = admit_long_poll(request, events, principal, conn) if wait_s else nullcontext()
    async with counted:
        with meanwhile():
            answer = await poll(events.streaming, read_request, wait_s=wait_s)
    return _shaped(request, events, answer, is_held=wait_s > 0)


async def poll(streaming: Streaming, read_request: ReadRequest, *, wait_s: float) -> ReadAnswer:
    """Return what follows the cursor of `read_request`.

    If nothing does, waits up to `wait_s` seconds for the first events. Raises `RedisError`, and
    what the `charge` of the request raises.
    """
    if read_request.cursor is not None:
        streaming.metrics.resumes.inc()
    if not wait_s:
        return await _read(streaming, read_request, wait_s=0.0)
    streaming.hub.watch(read_request.topics)
    try:
        return await _read(streaming, read_request, wait_s=wait_s)
    finally:
        streaming.hub.unwatch(read_request.topics)


async def _read(streaming: Streaming, read_request: ReadRequest, *, wait_s: float) -> ReadAnswer:
    ends_at = asyncio.get_running_loop().time() + wait_s
    shows = read_request.selection.shows
    catch_up = CatchUp(streaming.hub, streaming.log, read_request)
    _, history = await catch_up.begin()
    events = [event for event in history if shows(event)]
    restarts: Restarts = {}
    while True:
        # Taken before the step: what moves the hub during the step must not be waited for.
        movement = streaming.hub.movement
        batch = await catch_up.step()
        if batch is not None:
            events += [event for event in batch.events if shows(event)]
            restarts = {**restarts, **batch.restarts}
            if len(events) < MAX_EVENTS and size_of(events) < ANSWER_BYTES:
                continue
        left_s = ends_at - asyncio.get_running_loop().time()
        has_news = batch is not None or events or restarts
        if has_news or left_s <= 0 or streaming.open_streams.is_draining:
            break
        with suppress(TimeoutError):
            async with streaming.open_streams.hold(left_s):
                await movement.wait()
    cursor = cursor_text(catch_up.positions)
    streaming.metrics.delivered.inc(len(events))
    streaming.metrics.resets.inc(len(restarts))
    return ReadAnswer(events, restarts, cursor, more=batch is not None)


def _shaped(
    request: AnyRequest, events: Events, answer: ReadAnswer, *, is_held: bool
) -> Response[Any]:
    etag = f'"{blake2b(answer.cursor.encode(), digest_size=12).hexdigest()}"'
    hint = _hint_ms(events, answer)
    headers = {
        "ETag": etag,
        "X-Poll-After-Ms": str(hint),
        "Vary": "Accept, Authorization, Cookie",
        # A held answer must not be cached at all: Chromium lets requests for the same address
        # wait for one another as long as the first might be cached.
        "Cache-Control": "no-store" if is_held else "private, no-cache",
    }
    if not answer.is_news and etag in request.headers.get("if-none-match", ""):
        return Response(None, status_code=304, headers=headers)
    resets = [
        sse.reset_data([topic], reason) for topic, (_, reason) in sorted(answer.restarts.items())
    ]
    content = {
        "events": encoded(answer.events),
        "cursor": answer.cursor,
        "reset": resets or None,
        "poll_after_ms": hint,
    }
    return json_response(content, headers)


def _hint_ms(events: Events, answer: ReadAnswer) -> int:
    if answer.more:
        return 0
    middle = BUSY_MS if answer.is_news else events.settings.poll_idle_ms
    return int(middle * events.streaming.rng.uniform(0.9, 1.1))


def encoded(events: Iterable[Event]) -> list[msgspec.Raw]:
    """Return the JSON of each event, which was encoded when the event was read from its log."""
    return [msgspec.Raw(event.body) for event in events]


def wants_json(request: AnyRequest) -> bool:
    """Return whether the client prefers JSON to a stream.

    Raises `NotAcceptable` if it takes neither.
    """
    best = _best(request, [sse.MEDIA_TYPE, JSON])
    if best is None:
        raise NotAcceptable
    return best == JSON


def require_stream_accepted(request: AnyRequest, json_path: str) -> None:
    """Raise `NotAcceptable` if the client does not accept a stream. For paths that only stream.

    The problem names `json_path`, where the client can get JSON.
    """
    if _best(request, [sse.MEDIA_TYPE]) is None:
        raise NotAcceptable(f"This path only streams; GET {json_path} answers JSON.")


def _best(request: AnyRequest, offered: list[str]) -> str | None:
    accepted = request.headers.get("accept") or "*/*"  # an empty header says as little as none
    if accepted == sse.MEDIA_TYPE:
        return sse.MEDIA_TYPE
    try:
        return Accept(accepted).best_match(offered)
    except OverflowError:  # of a weight such as q=1e999, which Litestar reads as any number
        return None
