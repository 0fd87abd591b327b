"""The command `millrace`, as a process, with events of a real server."""

from __future__ import annotations

import json
import signal

import pytest

from tests.e2e.conftest import Start
from tests.support.command import millrace, started
from tests.support.container import Container
from tests.support.outage import through_an_outage
from tests.support.publisher import Publisher
from tests.support.upstash_server import UpstashServer

SECRET = "7d1c0f8e6b4f1c9a7be2d84c6f9b3e5a"


async def test_tail_shows_every_event_once_through_a_kill_and_restart(
    server: Container, publisher: Publisher
) -> None:
    """It goes on with its cursor, and says on stderr that it had to wait."""
    topic = "public:cli"
    ids: list[str] = []
    await publisher.publish(topic)
    words = ("tail", topic, "--json", "--history=1")
    async with started(*words, MILLRACE_URL=server.url) as tail:

        async def has(count: int) -> None:
            while len(ids) <= count:
                ids.append(json.loads(await tail.line())["id"])

        await has(0)
        published = await through_an_outage(server, publisher, topic, has)
        tail.process.send_signal(signal.SIGINT)
        end = await tail.ended()

    assert ids == published
    assert end.status == 130
    assert end.errors == "The server does not answer; trying again.\nThe server is back.\n"


async def test_what_is_published_is_tailed_as_a_line_that_a_terminal_does_not_obey(
    server: Container, upstash: UpstashServer
) -> None:
    """Somebody else chose the text of the event."""
    words = ("publish", "public:cli", "order.shipped", '{"note": "\x9b31m é"}')
    first = await millrace(*words, MILLRACE_URL=server.url)
    async with started("tail", "public:cli", "--history=1", "--url", server.url) as tail:
        line = await tail.line()

    assert first.status == 0, first.errors
    assert line.split("  ")[1:] == ["public:cli", "order.shipped", '{"note": "\ufffd31m é"}']


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ("publish", "public:cli", "connected", "1"),
            [
                "millrace: This event type belongs to the stream itself",
                "Use another type than connected, reset, bye, open or error.",
            ],
        ),
        (
            ("publish", "public:cli", "no type", "1"),
            [
                "millrace: Some fields are not right",
                "  type: 1 to 64 letters, digits or _.- and a letter first",
                "Correct the fields that `errors` names.",
            ],
        ),
    ],
)
async def test_a_refusal_is_told_in_the_servers_words(
    words: tuple[str, ...], lines: list[str], server: Container
) -> None:
    """What happened, which fields, what to do first; no traceback."""
    end = await millrace(*words, MILLRACE_URL=server.url)

    assert (end.status, end.output) == (1, "")
    assert end.errors.splitlines() == lines


@pytest.mark.parametrize(
    "words", [("publish", "a", "b", "{"), ("tail",), ("jobs", "watch"), ("dance",)]
)
async def test_what_is_not_understood_is_status_2(words: tuple[str, ...]) -> None:
    """A script can tell its own mistake from the server's."""
    end = await millrace(*words)

    assert end.status == 2
    assert "Usage" in end.errors
    assert "Traceback" not in end.errors


async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    """A typing error in the address is not waited for."""
    end = await millrace("tail", "public:cli", MILLRACE_URL="http://127.0.0.1:9")

    assert end.status == 1
    assert end.errors.startswith("millrace: http://127.0.0.1:9 does not answer")
    assert "make run" in end.errors


async def test_without_a_token_only_local_mode_signs_in(start: Start) -> None:
    """Whoever talks to production needs a token, and is told how to give it."""
    server = start(env="production", secret=SECRET)

    unsigned = await millrace("publish", "public:a", "tick", "1", MILLRACE_URL=server.url)
    wrong = await millrace(
        *("publish", "public:a", "tick", "1"), MILLRACE_URL=server.url, MILLRACE_TOKEN="?"
    )

    assert (unsigned.status, wrong.status) == (1, 1)
    assert "MILLRACE_TOKEN" in unsigned.errors
    assert wrong.errors.startswith("millrace: Sign in first")


async def test_litestars_own_commands_know_the_application(
    server: Container, upstash: UpstashServer
) -> None:
    """They load it from the settings, and name those that are missing."""
    settings = {
        "UPSTASH_REDIS_REST_URL": upstash.url,
        "UPSTASH_REDIS_REST_TOKEN": upstash.token,
        "MILLRACE_SECRET": SECRET,
    }

    routes = await millrace("routes", **settings)
    missing = await millrace("routes")

    assert routes.status == 0, routes.errors
    assert "/api/events" in routes.output
    assert missing.status == 1
    assert "MILLRACE_SECRET: Field required" in missing.errors.splitlines()


async def test_loopback_is_reached_past_a_proxy(server: Container) -> None:
    """A proxy has a loopback of its own. White space around a variable is no part of it."""
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY"), "http://127.0.0.1:9")

    end = await millrace(
        *("publish", "public:cli", "tick", "1"),
        **nowhere,
        NO_PROXY="",
        no_proxy="",
        MILLRACE_TOKEN=" ",
        MILLRACE_USER="",
        MILLRACE_URL=f"{server.url}\n",
    )

    assert (end.status, end.errors) == (0, "")
