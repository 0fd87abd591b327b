"""The runtime loop: what an application sends is posted as it is sent, in the form Lambda reads."""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise
from typing import Any

import pytest

from functions.runtime.prelude import MAX_BYTES, PreludeTooLarge, prelude
from tests.integration.functions.serving import begin, say, serving
from tests.support.gateway_events import function_url
from tests.support.runtime_api import DELIMITER, STREAMED

TICK_S = 0.2
TICKS = 5
EVENT = function_url("/", [], {})


async def ticking(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    for number in range(TICKS):
        await say(send, str(number))
        await asyncio.sleep(TICK_S)
    await say(send, "", more=False)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    await say(send, "hello", more=False)


async def test_chunks_arrive_as_they_are_made() -> None:
    """One after the other, not all at the end."""
    async with serving(ticking) as api:
        answer = await (await api.invoke(EVENT)).ended()

    gaps = [later - earlier for earlier, later in pairwise(answer.arrived[2:])]
    assert answer.body == b"01234"
    assert abs(statistics.median(gaps) - TICK_S) < 0.05
    assert all(0.5 * TICK_S < gap < 1.5 * TICK_S for gap in gaps), gaps


async def test_prelude_delimiter_and_body_are_chunks_of_their_own() -> None:
    """With the first bytes behind the delimiter in one chunk, a flush may be late."""
    async with serving(ticking) as api:
        answer = await (await api.invoke(EVENT)).ended()

    first, second, *chunks = answer.chunks
    assert first == b'{"statusCode": 200, "headers": {"content-type": "text/plain"}, "cookies": []}'
    assert second == DELIMITER
    assert chunks == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_post_is_what_lambda_takes_for_a_stream() -> None:
    """Mode, type and trailers are declared ahead; ids that came are sent back."""
    async with serving(hello) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert answer.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert answer.headers["content-type"] == STREAMED
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.headers["connection"] == "close"
    assert answer.headers["lambda-runtime-invocation-id"] == f"i-{answer.id}"
    assert set(answer.headers["trailer"].split(", ")) == {
        "Lambda-Runtime-Function-Error-Type",
        "Lambda-Runtime-Function-Error-Body",
    }
    assert answer.trailers == {}


async def test_invocations_are_polled_for_on_one_connection() -> None:
    """It is kept; each response has its own."""
    async with serving(hello) as api:
        for _ in range(3):
            await (await api.invoke(EVENT)).ended()
            await api.until_polled()
        connections = api.accepted

    assert connections == 1 + 3


async def test_an_answer_without_a_body_gets_one_byte() -> None:
    """Front doors wait for a body until the invocation times out."""

    async def empty(scope: Any, receive: Any, send: Any) -> None:
        await begin(send, 204)
        await say(send, "", more=False)

    async with serving(empty) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert answer.prelude["statusCode"] == 204
    assert answer.body == b"\n"


async def test_a_reader_that_is_slow_holds_up_who_writes() -> None:
    """Else a stream faster than Lambda reads would fill the memory."""
    written = 0

    async def flooding(scope: Any, receive: Any, send: Any) -> None:
        nonlocal written
        await begin(send)
        for _ in range(200):
            await say(send, "x" * 100_000)
            written += 1
        await say(send, "", more=False)

    async with serving(flooding) as api:
        invocation = await api.invoke(EVENT)
        invocation.reads.clear()
        before = -1
        while written != before or not written:
            before = written
            await asyncio.sleep(0.1)
        held_at = written
        invocation.reads.set()
        answer = await invocation.ended()

    assert held_at < 150
    assert len(answer.body) == 20_000_000


def test_cookies_are_set_each_by_itself() -> None:
    """A comma may be part of one; other repeated headers are joined."""
    headers = [
        (b"Set-Cookie", b"a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT"),
        (b"Set-Cookie", b"b=2"),
        (b"Vary", b"Accept"),
        (b"vary", b"Cookie"),
    ]

    assert prelude(200, headers) == (
        b'{"statusCode": 200, "headers": {"vary": "Accept, Cookie"}, '
        b'"cookies": ["a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT", "b=2"]}'
    )


def test_what_frames_a_connection_stays_here() -> None:
    """The front door makes a connection of its own; a length would cut or hang it."""
    headers = [
        (name, b"x")
        for name in (b"Connection", b"Content-Length", b"Keep-Alive", b"Transfer-Encoding", b"TE")
    ]

    assert prelude(200, headers) == b'{"statusCode": 200, "headers": {}, "cookies": []}'


def test_a_prelude_that_no_gateway_reads_to_its_end_is_refused() -> None:
    """A REST API looks for the delimiter in the first 16 KB and then fails in its own way."""
    room = MAX_BYTES - len(DELIMITER) - len(prelude(200, [(b"a", b"")]))

    assert len(prelude(200, [(b"a", b"x" * room)])) == MAX_BYTES - len(DELIMITER)
    with pytest.raises(PreludeTooLarge):
        prelude(200, [(b"a", b"x" * (room + 1))])
