"""What a stack is good for while it runs."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.integration.stack.running import ROOT, RunningStack
from tests.support.upstash_server import UpstashServer

JOIN = """
import asyncio, os
from upstash_redis.asyncio import Redis

async def main():
    async with Redis.from_env() as redis:
        await redis.set("joined", os.environ["MILLRACE_ENV"])
        print(await redis.get("joined"))

asyncio.run(main())
"""


def test_it_is_healthy_when_it_says_ready(stack: RunningStack) -> None:
    """Who waits for the words "is ready" needs to wait for nothing else."""
    health = httpx.get(stack.settings()["MILLRACE_URL"] + "/api/health")

    assert health.status_code == httpx.codes.OK


def test_all_addresses_are_loopback(stack: RunningStack) -> None:
    """A server where anybody may be anybody must not be reached by others."""
    listening = {
        connection.laddr.ip
        for process in stack.processes()
        for connection in process.net_connections("inet")
        if connection.status == "LISTEN"
    }

    assert listening == {"127.0.0.1"}


def test_a_script_joins_with_the_exported_settings(stack: RunningStack) -> None:
    """`eval "$(make -s env)"` is all that another process needs, the vendor's SDK included."""
    environment = dict(os.environ) | stack.settings()

    script = subprocess.run(
        [sys.executable, "-c", JOIN], capture_output=True, text=True, env=environment, check=False
    )

    assert (script.stdout.strip(), script.stderr) == ("local", "")


def test_the_exported_settings_are_those_that_the_api_runs_with(
    start: Callable[..., RunningStack],
) -> None:
    """A worker beside the API must know its options, but not take its port."""
    odd = "it's $HOME `id`\n\\"
    running = start(MILLRACE_TOPIC_TTL_S="77", MILLRACE_JWT_ISSUER=odd).ready()

    settings = running.settings()

    assert settings["MILLRACE_TOPIC_TTL_S"] == "77"
    assert settings["MILLRACE_JWT_ISSUER"] == odd
    # The shell's own environment named the ports; the export itself must not.
    exported = subprocess.check_output(
        [sys.executable, "-m", "infra.local.env"], cwd=ROOT, env=running.environment, text=True
    )
    assert "_PORT=" not in exported


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_lines_to_paste_work_as_they_are_printed(stack: RunningStack) -> None:
    """The first thing that a newcomer does must succeed."""
    printed = stack.output.partition("another terminal:")[2].replace("curl -N", "curl -sN -m 2")

    shell = subprocess.run(["/bin/sh", "-c", printed], capture_output=True, text=True, check=False)

    assert "event: connected" in shell.stdout


def test_a_second_stack_in_the_same_folder_is_refused(
    stack: RunningStack, start: Callable[..., RunningStack]
) -> None:
    """Two stacks would overwrite each other's settings; the second names the first."""
    second = start(MILLRACE_LOCAL_DIR=stack.environment["MILLRACE_LOCAL_DIR"])

    assert second.wait() == 1
    assert stack.settings()["MILLRACE_URL"] in second.complaints


def test_secrets_are_made_at_random_and_kept_private(stack: RunningStack) -> None:
    """No other user of the machine reads them, and production refuses them."""
    kept = Path(stack.environment["MILLRACE_LOCAL_DIR"], "stack.json")

    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "local" in stack.settings()["MILLRACE_SECRET"]


def test_a_store_named_by_the_environment_is_used_instead_of_our_own(
    start: Callable[..., RunningStack], upstash: UpstashServer
) -> None:
    """The local API can run on a real Upstash database."""
    theirs = {"UPSTASH_REDIS_REST_URL": upstash.url, "UPSTASH_REDIS_REST_TOKEN": upstash.token}

    running = start(**theirs).ready()

    assert not any("infra.local.upstash" in one.cmdline() for one in running.processes())
    assert theirs.items() <= running.settings().items()


def test_a_key_of_ably_in_the_environment_means_the_service_itself(
    start: Callable[..., RunningStack],
) -> None:
    """Then no local server is started, and no address of one is named."""
    theirs = {"ABLY_API_KEY": "theirs.key:not-a-secret-at-all"}  # pragma: allowlist secret

    running = start(**theirs).ready()

    assert not any("infra.local.ably" in one.cmdline() for one in running.processes())
    assert theirs.items() <= running.settings().items()
    assert "MILLRACE_ABLY_URL" not in running.settings()


def test_the_local_ably_server_answers_to_the_exported_key(stack: RunningStack) -> None:
    """What the API and other processes are given opens the server that was started."""
    settings = stack.settings()
    name, _, secret = settings["ABLY_API_KEY"].partition(":")
    url = settings["MILLRACE_ABLY_URL"]

    answer = httpx.post(f"{url}/channels/room/messages", auth=(name, secret), json={"name": "x"})

    assert answer.status_code == httpx.codes.CREATED


def test_the_webhooks_of_the_local_ably_server_are_taken_by_the_api(stack: RunningStack) -> None:
    """It is told the API's address before the API is up, and signs with the key that both have."""
    settings = stack.settings()
    name, _, secret = settings["ABLY_API_KEY"].partition(":")

    with httpx.Client(base_url=settings["MILLRACE_ABLY_URL"], auth=(name, secret)) as http:
        http.post("/channels/room/messages", json={"name": "x"})
        deadline = time.monotonic() + 10
        while (waiting := http.get("/_local/webhook").json()["waiting"]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.01)

    assert waiting == 0


def test_a_restart_from_a_shell_that_had_joined_keeps_the_secrets_and_starts_a_store(
    start: Callable[..., RunningStack],
) -> None:
    """Nobody is signed out; and the exported address is not taken for a store of the caller's."""
    first = start().ready()
    exported, count = first.settings(), len(first.processes())
    first.stop()

    again = start(**exported).ready()

    settings = again.settings()
    assert len(again.processes()) == count
    for name in ("MILLRACE_SECRET", "UPSTASH_REDIS_REST_TOKEN", "ABLY_API_KEY"):
        assert settings[name] == exported[name]
