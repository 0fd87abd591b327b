"""Scripts: digests, Upstash's own flag, and publishing once however often it is retried."""

from __future__ import annotations

import asyncio
import hashlib

from tests.integration.local_upstash.conftest import Rest

LOCKING = "#!lua flags=allow-key-locking\nreturn redis.call('GET', KEYS[1])"
PUBLISH_ONCE = """
local known = redis.call('GET', KEYS[2])
if known then return known end
local id = redis.call('XADD', KEYS[1], 'MAXLEN', '~', 100, '*', 'd', ARGV[1])
redis.call('EXPIRE', KEYS[1], 60)
redis.call('SET', KEYS[2], id, 'EX', 60)
return id
"""


def sha1(script: str) -> str:
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


async def test_a_key_locking_script_runs_by_body_and_by_its_own_digest(rest: Rest) -> None:
    """The engine does not know the flag; the client must not notice."""
    await rest.run("SET", "k", "v")

    assert await rest.result("EVAL", LOCKING, 1, "k") == "v"
    assert await rest.result("EVALSHA", sha1(LOCKING), 1, "k") == "v"
    assert await rest.result("EVALSHA", sha1(LOCKING).upper(), 1, "k") == "v"


async def test_loading_a_key_locking_script_gives_the_digest_of_what_was_sent(rest: Rest) -> None:
    """SCRIPT EXISTS and EVALSHA know it by that name."""
    assert await rest.result("SCRIPT", "LOAD", LOCKING) == sha1(LOCKING)
    assert await rest.result("SCRIPT", "EXISTS", sha1(LOCKING), "0" * 40) == [1, 0]
    assert await rest.result("EVALSHA", sha1(LOCKING), 1, "none") is None


async def test_scripts_work_inside_transactions(rest: Rest) -> None:
    """Digests and flags included."""
    answer = await rest.batch(
        "/multi-exec",
        ["SET", "k", "v"],
        ["SCRIPT", "LOAD", LOCKING],
        ["EVALSHA", sha1(LOCKING), 1, "k"],
        ["EVAL", "return redis.call('INCR', KEYS[1])", 1, "n"],
    )

    assert answer == [
        {"result": "OK"},
        {"result": sha1(LOCKING)},
        {"result": "v"},
        {"result": 1},
    ]


async def test_an_unknown_digest_is_noscript(rest: Rest) -> None:
    """Clients fall back to EVAL by this word."""
    assert (await rest.run("EVALSHA", "0" * 40, 0))["error"].startswith("NOSCRIPT")


async def test_a_malformed_script_call_says_so(rest: Rest) -> None:
    """The engine refuses it before it runs, and its own words come back."""
    assert (await rest.run("EVAL", "return 1"))["error"] == (
        "ERR wrong number of arguments for 'eval' command"
    )


async def test_a_script_error_is_the_commands_error(rest: Rest) -> None:
    """Nested errors inside a result are shown as text."""
    await rest.run("SET", "k", "text")

    failed = await rest.run("EVAL", "return redis.call('LPUSH', KEYS[1], 1)", 1, "k")
    nested = await rest.result("EVAL", "return {1, redis.error_reply('MINE inner')}", 0)

    assert failed["error"].startswith("WRONGTYPE ")
    assert nested == [1, "MINE inner"]


async def test_functions_load_and_run(rest: Rest) -> None:
    """FUNCTION and FCALL pass through."""
    library = (
        "#!lua name=lib\nredis.register_function('f', function() return redis.call('PING') end)"
    )

    assert await rest.result("FUNCTION", "LOAD", library) == "lib"
    assert await rest.result("FCALL", "f", 0) == "PONG"


async def test_publishing_with_one_key_appends_once_under_fifty_callers(rest: Rest) -> None:
    """Later callers get the id of the first."""
    ids = await asyncio.gather(
        *(rest.result("EVAL", PUBLISH_ONCE, 2, "log", "once", n) for n in range(50))
    )

    assert len(set(ids)) == 1
    assert await rest.result("XLEN", "log") == 1
