"""The meter bills as the service does, whoever else is calling."""

from __future__ import annotations

import asyncio

from tests.integration.local_upstash.conftest import Rest
from tests.integration.local_upstash.test_scripts import PUBLISH_ONCE
from tests.support.upstash_server import UpstashServer


async def test_each_command_of_a_batch_counts(rest: Rest, upstash: UpstashServer) -> None:
    """Commands in pipelines and transactions count as much."""
    await rest.run("XREAD", "STREAMS", "a", "b", "0", "0")
    await rest.batch("/pipeline", ["SET", "k", 1], ["get", "k"], ["INCR", "k"])
    await rest.batch("/multi-exec", ["SET", "k", 1], ["GET", "k"])

    assert upstash.meter().commands == {"XREAD": 1, "SET": 2, "GET": 2, "INCR": 1}
    assert upstash.meter().billed == 6


async def test_what_never_ran_is_not_billed(rest: Rest, upstash: UpstashServer) -> None:
    """Refused, malformed, discarded, unauthorised; and the controls are free."""
    await rest.run("BLPOP", "k", 0)
    await rest.batch("/multi-exec", ["SET", "k", 1], ["NOSUCH"])
    await rest.run("EVAL")
    await rest.http.post("/", content="nonsense")
    await rest.http.get("/get/k", headers={"Authorization": "Bearer wrong"})
    upstash.flush()

    assert upstash.meter().billed == 0


async def test_a_command_that_failed_is_billed(rest: Rest, upstash: UpstashServer) -> None:
    """It reached the database."""
    await rest.batch("/pipeline", ["SET", "k", "text"], ["INCR", "k"])

    assert upstash.meter().commands == {"SET": 1, "INCR": 1}


async def test_a_script_costs_itself_and_every_command_it_calls(
    rest: Rest, upstash: UpstashServer
) -> None:
    """GET, XADD, EXPIRE and SET the first time; only GET when it repeats."""
    await rest.run("EVAL", PUBLISH_ONCE, 2, "log", "once", "x")
    first = upstash.meter()
    upstash.reset_meter()
    await rest.run("EVAL", PUBLISH_ONCE, 2, "log", "once", "x")

    assert first.billed == 5
    assert first.commands == {"EVAL": 1, "GET": 1, "XADD": 1, "EXPIRE": 1, "SET": 1}
    assert upstash.meter().commands == {"EVAL": 1, "GET": 1}


async def test_a_scripts_bill_is_exact_among_concurrent_callers(
    rest: Rest, upstash: UpstashServer
) -> None:
    """With forty scripts and as many commands at once, each is billed right."""
    scripts = [rest.run("EVAL", PUBLISH_ONCE, 2, "log", f"once:{n % 20}", n) for n in range(40)]
    plain = [rest.run("GET", "unrelated") for _ in range(40)]

    await asyncio.gather(*(call for pair in zip(scripts, plain, strict=True) for call in pair))

    assert upstash.meter().commands == {
        "EVAL": 40,
        "GET": 80,
        "XADD": 20,
        "EXPIRE": 20,
        "SET": 20,
    }


async def test_scripts_in_batches_are_billed_the_same(rest: Rest, upstash: UpstashServer) -> None:
    """By body, by digest, in a pipeline, in a transaction."""
    sha = await rest.result("SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])")
    upstash.reset_meter()

    await rest.batch("/pipeline", ["EVALSHA", sha, 1, "n"], ["GET", "n"])
    await rest.batch("/multi-exec", ["EVALSHA", sha, 1, "n"], ["GET", "n"])

    assert upstash.meter().commands == {"EVALSHA": 2, "INCR": 2, "GET": 2}


async def test_a_script_that_fails_half_way_costs_what_it_did(
    rest: Rest, upstash: UpstashServer
) -> None:
    """The calls before the error were made."""
    await rest.run("EVAL", "redis.call('SET', KEYS[1], 'x') redis.call('INCR', KEYS[1])", 1, "k")

    assert upstash.meter().commands == {"EVAL": 1, "SET": 1, "INCR": 1}


async def test_an_unknown_digest_costs_the_attempt(rest: Rest, upstash: UpstashServer) -> None:
    """A fallback to EVAL costs one command more."""
    await rest.run("EVALSHA", "0" * 40, 0)

    assert upstash.meter().billed == 1


async def test_the_announcement_and_the_reset_cost_nothing(upstash: UpstashServer) -> None:
    """Tests start from zero."""
    assert upstash.meter().billed == 0
    assert upstash.meter().commands == {}
