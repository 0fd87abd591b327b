"""The buffered function: one application, one loop, one connection, a window at a time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.integration.functions.lambda_ import Function
from tests.support.gateway_events import function_url, http_api, rest_api
from tests.support.instances import settings_for
from tests.support.sse_parser import Frame, SseParser
from tests.support.upstash_server import UpstashServer

WINDOW_S = 0.4
FORMS = [rest_api, http_api, function_url]
A, B = "public:a", "public:b"

Form = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def warm(upstash_server: UpstashServer) -> Iterator[Function]:
    with Function(settings_for(upstash_server), window_s=WINDOW_S) as one:
        yield one


@pytest.fixture
def function(warm: Function, upstash: UpstashServer) -> Function:
    """The same environment as in the test before, as on Lambda; the store is empty."""
    return warm


class Caller:
    """A client of the function through one kind of gateway."""

    def __init__(self, function: Function, form: Form = http_api) -> None:
        self._function = function
        self._form = form
        sessions = function.module.app.state.services.security.sessions
        self._token = sessions.issue("caller", roles=["admin"], grants={}, ttl_s=600)

    def call(
        self, path: str, query: Any = (), *, method: str = "GET", body: Any = None, **headers: str
    ) -> dict[str, Any]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["authorization"] = f"Bearer {self._token}"
        if body is not None:
            named["content-type"] = "application/json"
        text = json.dumps(body) if body is not None else ""
        return self._function.invoke(self._form(path, query, named, method=method, body=text))

    def publish(self, topic: str, data: Any) -> str:
        body = {"type": "tick", "data": data}
        answer = self.call(f"/api/events/{topic}", method="POST", body=body)
        assert answer["statusCode"] == 201, answer
        return str(json.loads(answer["body"])["id"])

    def window(self, *topics: str, cursor: str = "") -> tuple[dict[str, Any], list[Frame], str]:
        headers = {"last_event_id": cursor} if cursor else {}
        query = [("topic", topic) for topic in topics]
        answer = self.call("/api/events", query, accept="text/event-stream", **headers)
        parser = SseParser(cursor)
        return answer, parser.feed(answer["body"].encode()), parser.last_event_id


def data(frames: list[Frame]) -> list[Any]:
    return [json.loads(frame.data).get("data") for frame in frames if frame.event == "tick"]


@pytest.mark.parametrize("form", FORMS)
def test_a_window_is_a_whole_stream_of_text(form: Form, function: Function):
    """Every gateway hands on what an EventSource reads: status, type, frames, pause."""
    caller = Caller(function, form)
    caller.publish(A, 0)
    _, _, cursor = caller.window(A, B)
    caller.publish(A, "é漢")
    caller.publish(B, 2)
    answer, frames, _ = caller.window(A, B, cursor=cursor)

    headers = {**answer.get("headers", {})} | {
        name: values[0] for name, values in answer.get("multiValueHeaders", {}).items()
    }
    assert (answer["statusCode"], answer["isBase64Encoded"]) == (200, False)
    assert headers["content-type"].startswith("text/event-stream")
    assert [frame.event for frame in frames] == ["connected", "tick", "tick", "bye"]
    assert data(frames) == ["é漢", 2]
    assert json.loads(frames[-1].data)["reason"] == "deadline"


@pytest.mark.parametrize("form", FORMS)
def test_json_and_problems_pass_every_gateway(form: Form, function: Function):
    """As do repeated parameters."""
    caller = Caller(function, form)
    answer = caller.call("/api/events", [("topic", A), ("topic", B)], accept="application/json")
    problem = caller.call("/api/events", [("topic", "not a topic")], accept="*/*")

    assert json.loads(answer["body"])["events"] == []
    # A REST API without binary types hands on base64 as it is.
    assert (answer["isBase64Encoded"], problem["isBase64Encoded"]) == (False, False)
    assert (problem["statusCode"], json.loads(problem["body"])["code"]) == (400, "invalid-topic")


def test_a_backlog_is_answered_at_once(function: Function):
    """The client is behind: there is nothing to wait for."""
    caller = Caller(function)
    _, _, cursor = caller.window(A)
    for number in range(5):
        caller.publish(A, number)
    began = time.perf_counter()
    _, frames, _ = caller.window(A, cursor=cursor)

    assert data(frames) == [0, 1, 2, 3, 4]
    assert time.perf_counter() - began < WINDOW_S / 2


def test_a_quiet_window_ends_in_time(function: Function):
    """With a cursor that goes on."""
    caller = Caller(function)
    began = time.perf_counter()
    _, frames, cursor = caller.window(A)

    assert WINDOW_S - 0.05 < time.perf_counter() - began < WINDOW_S + 0.3
    assert [frame.event for frame in frames] == ["connected", "bye"]
    assert cursor == frames[0].id


def test_an_event_within_the_window_ends_it(function: Function, upstash: UpstashServer):
    """The first batch is the answer."""
    caller = Caller(function)
    caller.publish(A, 0)
    began = time.perf_counter()
    with ThreadPoolExecutor(1) as other:
        answering = other.submit(caller.window, A)
        until_polling(upstash)
        add(function, A, 1)
        _, frames, _ = answering.result(10)

    assert data(frames) == [1]
    assert time.perf_counter() - began < WINDOW_S - 0.1


def test_events_between_windows_are_not_lost(function: Function):
    """The process stands still between them."""
    caller = Caller(function)
    caller.publish(A, -1)
    cursor = ""
    seen: list[int] = []
    for number in range(6):
        _, frames, cursor = caller.window(A, cursor=cursor)
        seen += data(frames)
        caller.publish(A, number)

    assert seen == [0, 1, 2, 3, 4]


def test_the_application_starts_once(function: Function):
    """At import; invocations neither start nor stop it."""
    lifespan = function.module.lifespan
    caller = Caller(function)
    for number in range(3):
        caller.publish(A, number)

    assert not lifespan.done()


def test_invocations_share_the_loop_and_the_connection(function: Function, upstash: UpstashServer):
    """A handshake for each would cost more than the rest."""
    caller = Caller(function)
    caller.publish(A, 0)
    loop, ports = function.run(asyncio.get_event_loop), our_ports(upstash)
    for number in range(5):
        caller.publish(A, number)

    assert function.run(asyncio.get_event_loop) is loop
    assert our_ports(upstash) == ports


def test_nothing_runs_between_invocations(function: Function, upstash: UpstashServer):
    """A function is frozen there: a poll in flight would be read minutes later, or never."""
    caller = Caller(function)
    caller.publish(A, 0)
    idle = tasks(function)
    for _ in range(2):
        caller.window(A)
        assert tasks(function) == idle
    _, _, cursor = caller.window(A)
    caller.publish(A, 1)
    caller.window(A, cursor=cursor)
    assert tasks(function) == idle

    services = function.module.app.state.services
    assert len(services.streaming.open_streams) == 0
    assert not services.streaming.hub.follows_anything


def test_a_window_after_a_freeze_reads_anew(function: Function):
    """What this process believed of the log is of no use after minutes."""
    caller = Caller(function)
    caller.publish(A, 0)
    _, _, cursor = caller.window(A)
    time.sleep(0.05)
    add(function, A, 1)
    _, frames, _ = caller.window(A, cursor=cursor)

    assert data(frames) == [1]


def test_a_store_that_is_away_makes_a_window_that_ends(function: Function, upstash: UpstashServer):
    """An EventSource comes back; an error status would close it for good."""
    caller = Caller(function)
    upstash.faults(bad_gateway=-1)
    answer, frames, cursor = caller.window(A)

    assert answer["statusCode"] == 200
    assert [frame.event for frame in frames] == ["bye"]
    assert cursor == ""


def tasks(function: Function) -> set[str]:
    """What is not done on the function's loop."""
    loop = function.run(asyncio.get_event_loop)
    return {f"{task.get_coro()!r}".split(" at ")[0] for task in asyncio.all_tasks(loop)}


def add(function: Function, topic: str, value: Any) -> None:
    """As another process would, while the function may be busy."""
    services = function.module.app.state.services
    url = services.settings.upstash_url
    token = services.settings.upstash_token.get_secret_value()

    async def run() -> None:
        client = UpstashClient(url, token, timeout_s=5, meter=CommandMeter())
        entry = json.dumps({"type": "tick", "data": value})
        await client.write("XADD", f"millrace:topic:{topic}", "*", "e", entry)
        await client.close()

    asyncio.run(run())


def until_polling(upstash: UpstashServer) -> None:
    """Return when the function follows the log."""
    start = upstash.meter().commands.get("XREAD", 0)
    ends = time.monotonic() + 5
    while upstash.meter().commands.get("XREAD", 0) < start + 3:
        assert time.monotonic() < ends
        time.sleep(0.002)


def our_ports(upstash: UpstashServer) -> set[int]:
    """The local ports of this process's connections to the server."""
    port = urlsplit(upstash.url).port
    return {
        one.laddr.port
        for one in psutil.Process().net_connections("tcp")
        if one.status == psutil.CONN_ESTABLISHED and one.raddr.port == port
    }
