"""The runtime loop: however an exchange ends, Lambda is told, and the next one is served."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from functions.runtime import api as runtime
from functions.runtime.exchange import CANCEL_S, DISCONNECT_S, LEAVE_S, App
from functions.runtime.loop import serve
from tests.integration.functions.serving import begin, say, serving
from tests.support.gateway_events import function_url
from tests.support.runtime_api import Invocation, InvocationFailed, RuntimeApi

EVENT = function_url("/", [], {})


class Apps:
    """Serves one application after the other, an invocation each, then greets."""

    def __init__(self, *apps: App) -> None:
        self._apps = list(apps)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await (self._apps.pop(0) if self._apps else hello)(scope, receive, send)


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    await say(send, "hello", more=False)


@asynccontextmanager
async def going_on(app: App) -> AsyncIterator[RuntimeApi]:
    """The loop with `app` for one invocation; it has to serve another afterwards."""
    async with serving(Apps(app)) as api:
        yield api
        answer = await (await api.invoke(EVENT)).ended()
        assert answer.body == b"hello"


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_an_application_that_exits_has_failed_and_the_next_is_served(
    error: BaseException,
) -> None:
    """With the process, all other responses would be cut."""

    async def leaving(scope: Any, receive: Any, send: Any) -> None:
        raise error

    async with going_on(leaving) as api:
        with pytest.raises(InvocationFailed):
            await (await api.invoke(EVENT)).ended()


async def test_a_failure_behind_the_head_is_told_in_trailers() -> None:
    """The status is sent; callers of the streaming API see the rest there."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        await say(send, "half")
        raise ValueError("a secret")

    async with going_on(failing) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert (answer.prelude["statusCode"], answer.body) == (200, b"half")
    assert answer.trailers["lambda-runtime-function-error-type"] == "Function.ValueError"
    assert answer.reported["errorType"] == "Function.ValueError"
    assert answer.reported["stackTrace"][-1].endswith(" failing")
    assert "a secret" not in json.dumps(answer.reported)


async def test_a_failure_before_the_head_fails_the_invocation() -> None:
    """The front door makes a 502 of it."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        raise ValueError("a secret")

    async with going_on(failing) as api:
        invocation = await api.invoke(EVENT)
        with pytest.raises(InvocationFailed) as failed:
            await invocation.ended()

    kind, report = failed.value.args
    assert kind == "Function.ValueError"
    assert "a secret" not in json.dumps(report)
    assert invocation.headers["lambda-runtime-invocation-id"] == f"i-{invocation.id}"


async def test_a_head_without_an_end_is_a_failure() -> None:
    """As is no head at all."""

    async def nothing(scope: Any, receive: Any, send: Any) -> None:
        pass

    async def half(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)

    async with going_on(nothing) as api:
        with pytest.raises(InvocationFailed, match=r"Function\.NoResponse"):
            await (await api.invoke(EVENT)).ended()
    async with going_on(half) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert answer.trailers["lambda-runtime-function-error-type"] == "Function.NoResponse"


async def test_a_message_out_of_order_fails_the_exchange() -> None:
    """A body before its head is the application's bug."""

    async def hasty(scope: Any, receive: Any, send: Any) -> None:
        await say(send, "body")

    async with going_on(hasty) as api:
        with pytest.raises(InvocationFailed, match=r"Function\.RuntimeError"):
            await (await api.invoke(EVENT)).ended()


async def test_a_head_too_large_is_the_applications_to_answer_for() -> None:
    """It fails before anything was sent, so another head may still be."""

    async def boasting(scope: Any, receive: Any, send: Any) -> None:
        try:
            await begin(send, headers=[(b"a", b"x" * 17_000)])
        except ValueError:
            await begin(send, 500)
            await say(send, "sorry", more=False)

    async with going_on(boasting) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert answer.prelude["statusCode"] == 500


async def test_the_end_of_a_response_is_a_disconnect_to_the_application() -> None:
    """It waits for that before it cleans up."""
    messages: list[str] = []

    async def patient(scope: Any, receive: Any, send: Any) -> None:
        messages.append((await receive())["type"])
        await begin(send)
        waiting = asyncio.create_task(receive())
        await say(send, "all")
        await asyncio.sleep(0.05)
        messages.append("waits" if not waiting.done() else "does not wait")
        await say(send, "", more=False)
        messages.append((await waiting)["type"])

    async with going_on(patient) as api:
        await (await api.invoke(EVENT)).ended()

    assert messages == ["http.request", "waits", "http.disconnect"]


async def test_near_the_deadline_the_client_is_said_to_be_gone() -> None:
    """Time to clean up; what was not said by then is cut, and told as that."""
    cleaned = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await begin(send)
        await say(send, "on")
        await receive()
        cleaned.set()
        await say(send, "and on")

    async with going_on(endless) as api:
        left = await until_ended(await api.invoke(EVENT, timeout_s=DISCONNECT_S + 0.3))

    assert cleaned.is_set()
    assert left.body == b"on"
    assert left.trailers["lambda-runtime-function-error-type"] == "Function.DeadlineReached"
    assert CANCEL_S < left_s(left) <= DISCONNECT_S


async def test_who_does_not_listen_is_cancelled() -> None:
    """Nearer still, and there is time for a `finally`."""
    cleaned = asyncio.Event()

    async def deaf(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        try:
            await asyncio.sleep(60)
        finally:
            cleaned.set()

    async with going_on(deaf) as api:
        left = await until_ended(await api.invoke(EVENT, timeout_s=DISCONNECT_S + 0.1))

    assert cleaned.is_set()
    assert LEAVE_S < left_s(left) <= CANCEL_S


async def test_who_refuses_to_end_is_left_behind() -> None:
    """The answer ends in time all the same, and the process is not killed."""
    end = asyncio.Event()

    async def stubborn(scope: Any, receive: Any, send: Any) -> None:
        await begin(send)
        while not end.is_set():
            try:
                await end.wait()
            except asyncio.CancelledError:
                continue

    async with going_on(stubborn) as api:
        left = await until_ended(await api.invoke(EVENT, timeout_s=DISCONNECT_S + 0.1))
        end.set()

    assert 0 < left_s(left) <= LEAVE_S


async def test_what_follows_a_response_is_done_before_the_next_invocation() -> None:
    """Between invocations nothing runs, so it is done or it is lost. The client does not wait."""
    done = asyncio.Event()

    async def tail(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        await asyncio.sleep(0.3)
        done.set()

    async with going_on(tail) as api:
        await (await api.invoke(EVENT)).ended()
        assert not done.is_set()
        await api.until_polled()
        assert done.is_set()


async def test_a_failure_behind_the_response_harms_nobody() -> None:
    """The answer is out and whole."""

    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await hello(scope, receive, send)
        raise ValueError

    async with going_on(failing) as api:
        answer = await (await api.invoke(EVENT)).ended()

    assert (answer.body, answer.trailers) == (b"hello", {})


async def test_lambda_hanging_up_is_a_disconnect() -> None:
    """Seen without a write; writes go nowhere from then on."""
    seen: list[str] = []

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await begin(send)
        await say(send, "on")
        seen.append((await receive())["type"])
        await say(send, "and on")

    async with going_on(endless) as api:
        invocation = await api.invoke(EVENT)
        await invocation.until(2)
        invocation.hang_up()
        with pytest.raises(InvocationFailed, match="Truncated"):
            await invocation.ended()
        await api.let_go(invocation)

    assert seen == ["http.disconnect"]


async def test_writing_to_lambda_that_hung_up_ends_quietly() -> None:
    """As a server swallows what a client that left was to get."""
    written = 0

    async def chatty(scope: Any, receive: Any, send: Any) -> None:
        nonlocal written
        await begin(send)
        for _ in range(200):
            await say(send, "x" * 100_000)
            written += 1

    async with going_on(chatty) as api:
        invocation = await api.invoke(EVENT)
        invocation.reads.clear()
        await until_held(lambda: written)
        held_at = written
        invocation.hang_up()
        await api.let_go(invocation)
        invocation.reads.set()

    assert held_at < written == 200


@pytest.mark.parametrize("step", ["next", "response", "error"])
async def test_a_runtime_that_lambda_gave_up_ends(step: str) -> None:
    """Status 500 means that only a new process can go on."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert step != "error"
        await hello(scope, receive, send)

    async with RuntimeApi() as api:
        api.broken.add(step)
        loop = asyncio.create_task(serve(app, runtime.RuntimeApi(api.address), at_once=1, state={}))
        await api.invoke(EVENT)
        await asyncio.wait([loop], timeout=5)

    assert isinstance(error := loop.exception(), BaseExceptionGroup)
    assert isinstance(error.exceptions[0], runtime.RuntimeApiError)


async def until_held(count: Callable[[], int]) -> None:
    """Return when `count` has begun to rise and rises no more."""
    before = 0
    while not before or count() != before:
        before = count()
        await asyncio.sleep(0.05)


async def until_ended(invocation: Invocation) -> Invocation:
    return await invocation.ended()


def left_s(invocation: Invocation) -> float:
    """How long before its deadline the response had ended."""
    return invocation.deadline_ms / 1000 - invocation.ended_at
