"""What is wrong with an upstream is told in our words, and mends itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.integration.relay.conftest import (
    SECRET_QUERY,
    SECRETS,
    Start,
    faults,
    has,
    prices,
    source,
    told,
    watch,
)
from tests.support.sse_upstream import UpstreamProcess

PRIVATE = "the upstream's own words 0451"


def raw(status: str, kind: str = "text/event-stream", body: str = PRIVATE, more: str = "") -> Any:
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{more}Connection: close\r\n\r\n"
    return {"kind": "raw", "bytes": head + body}


def moved(to: str) -> Any:
    return raw("302 Found", more=f"Location: {to}\r\n")


# What the upstream does, and the code that readers are told.
FAULTS = {
    "401": (raw(f"401 {PRIVATE}"), "upstream-unauthorized"),
    "403": (raw("403 Forbidden"), "upstream-unauthorized"),
    "404": (raw("404 Not Found"), "upstream-not-found"),
    "410": (raw("410 Gone"), "upstream-not-found"),
    "429": (raw("429 Too Many Requests"), "upstream-refused"),
    "204": (raw("204 No Content", body=""), "upstream-refused"),
    "500": (raw("500 Oops"), "upstream-failed"),
    "503": (raw("503 Away"), "upstream-failed"),
    "html": (raw("200 OK", "text/html", f"<h1>{PRIVATE}</h1>"), "upstream-not-a-stream"),
    "gzip": (raw("200 OK", more="Content-Encoding: gzip\r\n"), "upstream-not-a-stream"),
    "half-an-event": (raw("200 OK", body=f"event: price\ndata: {PRIVATE}\n"), "upstream-cut"),
    "half-a-line": (raw("200 OK", body=f"data: {PRIVATE}"), "upstream-cut"),
    "too-short": (raw("200 OK", body=":\n", more="Content-Length: 9\r\n"), "upstream-cut"),
    "no-http": ({"kind": "raw", "bytes": PRIVATE + "\r\n\r\n"}, "upstream-cut"),
    "endless-line": ({"kind": "endless"}, "upstream-too-long"),
    "silence": ({"kind": "silent"}, "upstream-silent"),
    "no-answer": ({"kind": "headless"}, "upstream-silent"),
    "foreign-host": (moved("http://[::1]:9/"), "upstream-redirected"),
    "file": (moved("file:///etc/passwd"), "upstream-redirected"),
    "user-in-url": (moved("http://a@127.0.0.1/"), "upstream-redirected"),
    "circle": (moved("circle"), "upstream-redirected"),
    "garbage": (moved("http://[/"), "upstream-redirected"),
}


async def test_each_fault_is_told_and_mends_itself(
    start: Start, upstream: UpstreamProcess, capfd: pytest.CaptureFixture[str]
):
    """A stable code, then the events; nothing of the upstream's own, and no secret of ours."""
    await upstream.order(modes={name: mode for name, (mode, _) in FAULTS.items()}, count=2)
    base = upstream.url.removesuffix("stream")
    sources = {
        name: source(
            upstream,
            url=f"{base}{name}?{SECRET_QUERY}",
            silence_s=1 if code == "upstream-silent" else 60,
        )
        for name, (_, code) in FAULTS.items()
    }
    instance = await start(sources=sources)
    streams = {name: watch(instance, name) for name in FAULTS}
    for name, stream in streams.items():
        await told(stream, FAULTS[name][1])
    await upstream.order(modes={})
    for stream in streams.values():
        await has(stream, 2)

    output = capfd.readouterr()
    for name, stream in streams.items():
        assert set(faults(stream)) == {FAULTS[name][1]}, name
        assert prices(stream) == [1, 2], name
        said = json.dumps([frame.data for frame in stream.frames]) + output.out + output.err
        assert not any(text in said for text in (*SECRETS, PRIVATE)), name
        await stream.close()


async def test_an_upstream_that_is_away_is_waited_for(start: Start, upstream: UpstreamProcess):
    """Readers are told, stay connected, and get what comes after."""
    upstream.kill()
    stream = watch(await start())
    await told(stream, "upstream-unreachable")
    upstream.start()
    await upstream.order(count=2)
    await has(stream, 2)

    assert prices(stream) == [1, 2]
    await stream.close()


async def test_an_event_that_is_too_large_is_told_of_and_passed_over(
    start: Start, upstream: UpstreamProcess
):
    """One that comes again at each reconnect would else hold up all that follow."""
    large = f"id: 1\ndata: {'x' * 70_000}\n\nid: 2\nevent: price\ndata: 2\n\n"
    await upstream.order(mode=raw("200 OK", body=large))
    stream = watch(await start())
    await has(stream, 1)

    assert faults(stream) == ["upstream-event-too-large"]
    await stream.close()


async def test_names_that_are_ours_are_carried_inside(start: Start, upstream: UpstreamProcess):
    """An upstream can neither end a reader's stream, nor call its `onerror`, nor be the relay."""
    ours = ("bye", "error", "open", "relay.error", "a b")
    body = "".join(f"event: {kind}\ndata: x\n\n" for kind in (*ours, "ok"))
    await upstream.order(mode=raw("200 OK", body=body + "data: plain\n\n"))
    stream = watch(await start())
    await stream.until(lambda one: len(one.events) > 7)

    events = [(event["type"], event["data"]) for event in stream.events[1:8]]
    assert events == [
        *(("relay.event", {"event": kind, "data": "x"}) for kind in ours),
        ("ok", "x"),
        ("message", "plain"),
    ]
    assert stream.bye is None
    await stream.close()


async def test_an_upstream_without_ids_is_read_from_where_it_begins(
    start: Start, upstream: UpstreamProcess
):
    """What it sends again comes again: nobody could tell it from news."""
    await upstream.order(count=2, mode={"kind": "events", "idless": True})
    stream = watch(await start())
    await has(stream, 2)
    upstream.kill()
    upstream.start()
    await upstream.order(count=3, mode={"kind": "events", "idless": True})
    await has(stream, 5)

    assert prices(stream) == [1, 2, 1, 2, 3]
    await stream.close()


async def test_only_the_sources_own_origin_gets_its_headers(
    start: Start, upstream: UpstreamProcess
):
    """A redirect to a listed host is followed, without what was meant for the other one."""
    there = f"Location: http://localhost:{upstream.port}/elsewhere\r\n"
    await upstream.order(mode=raw("307 There", more=there))
    stream = watch(await start(hosts=["LOCALHOST"]))
    await told(stream, "upstream-redirected")  # to itself, again and again
    heads = (await upstream.order())["heads"]

    first, second = heads[:2]
    assert first.startswith("GET /stream?key=")
    assert SECRETS[0] in first
    assert second.startswith("GET /elsewhere ")
    assert f"Host: localhost:{upstream.port}" in second
    assert not any(secret in second for secret in SECRETS)
    await stream.close()


async def test_a_private_address_is_reached_only_where_that_is_said(
    start: Start, upstream: UpstreamProcess
):
    """Else a name that anybody can point anywhere would open the inside."""
    names = {
        "number": source(upstream, private=False),
        "name": source(upstream, private=False, url=f"http://localhost:{upstream.port}/"),
        "mapped": source(
            upstream, private=False, url=f"http://[::ffff:127.0.0.1]:{upstream.port}/"
        ),
        "metadata": {"url": "http://169.254.169.254/latest"},
    }
    instance = await start(sources=names)
    for name in names:
        stream = watch(instance, name)
        await told(stream, "upstream-address-not-allowed")
        await stream.close()

    assert (await upstream.order())["connections"] == 0
