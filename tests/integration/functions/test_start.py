"""How functions start: their own failures are told, snapshots are survived."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from pathlib import Path

import httpx
import psutil
import pytest

from infra.local.upstash.tether import tethered
from tests.integration.functions.conftest import Start
from tests.support.execution_environment import BUFFERED, STREAMING, ExecutionEnvironment, variables
from tests.support.gateway_events import function_url
from tests.support.local_server import ROOT
from tests.support.upstash_server import UpstashServer

IMAGE = [sys.executable, "-m", "functions"]
SEED = 1  # of apps.Drawing
SNAPSHOT = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
APPS = "tests.integration.functions.apps"
EVENT = function_url("/api/health/live", [], {})


@pytest.mark.parametrize("command", [STREAMING, BUFFERED, IMAGE])
async def test_bad_settings_are_reported_and_end_the_process(
    command: list[str], upstash: UpstashServer
) -> None:
    """The log names what is wrong; Lambda learns that it was the start."""
    async with ExecutionEnvironment(command, {"MILLRACE_SECRET": "hunter2"}) as function:
        function.launch()
        status = await function.exited()

    assert status == 1
    assert function.api.init_error is not None
    kind, report = function.api.init_error
    assert "SettingsError" in kind + report["errorType"]
    assert function.api.waiting == 0
    assert "MILLRACE_SECRET: too weak" in function.complaints
    assert "hunter2" not in function.complaints + json.dumps(report)


@pytest.mark.parametrize("command", [STREAMING, IMAGE])
async def test_what_stops_a_function_is_one_line_in_its_log(
    command: list[str], upstash: UpstashServer
) -> None:
    """It names the setting and says what to do; a traceback would hide both."""
    settings = variables(upstash, extensions="nosuch")
    async with ExecutionEnvironment(command, settings) as function:
        function.launch()
        status = await function.exited()

    assert status == 1
    [line] = function.complaints.splitlines()
    assert line.startswith("MILLRACE_EXTENSIONS: nosuch cannot be imported")


@pytest.mark.parametrize(
    ("handler", "fails", "kind"),
    [
        (f"{APPS}.plain", "import", "Runtime.SystemExit"),
        (f"{APPS}.missing", "", "Runtime.AttributeError"),
        ("functions.missing.app", "", "Runtime.ModuleNotFoundError"),
        (f"{APPS}.refusing", "", "Runtime.LifespanError"),
        *(
            (f"{APPS}.ending", error, f"Runtime.{error}")
            for error in ("Panic", "SystemExit", "KeyboardInterrupt", "CancelledError")
        ),
        (f"{APPS}.ending_within", "SystemExit", "Runtime.SystemExit"),
    ],
)
async def test_an_application_that_does_not_start_is_reported(
    handler: str, fails: str, kind: str, start: Start
) -> None:
    """Whatever the reason, Lambda is told before the process ends."""
    function = await launched(start, handler, {"FAILS": fails})
    status = await function.exited()
    complaints, function.complaints = function.complaints, ""

    assert status == 1
    assert function.api.init_error is not None
    assert function.api.init_error[0] == function.api.init_error[1]["errorType"] == kind
    assert "Traceback" in complaints


async def test_an_application_without_a_lifespan_is_served(start: Start) -> None:
    """ASGI says that it need not have one; Lambda writes handlers with slashes as well."""
    function = await start(STREAMING, handler=f"{APPS}.plain".replace(".", "/", 2))
    answer = await (await function.invoke(EVENT)).ended()

    assert answer.body == b'"plain"'


async def test_an_image_runs_the_loop_on_lambda(start: Start) -> None:
    """By what Lambda sets, with nothing to configure; elsewhere the same command serves HTTP."""
    function = await start(IMAGE)
    answer = await (await function.invoke(EVENT)).ended()

    assert answer.is_streamed
    assert answer.prelude["statusCode"] == 200


async def test_restored_copies_share_neither_connections_nor_chance(start: Start) -> None:
    """A socket in two processes garbles both; a common seed retries in step."""
    function = await launched(start, f"{APPS}.drawing", SNAPSHOT)
    await function.api.reached_snapshot.wait()
    remote = {one.raddr.port for one in psutil.Process(function.pid).net_connections("tcp")}
    waiting_before = function.api.waiting
    function.api.restored.set()
    answer = await (await function.invoke(EVENT)).ended()
    seen = json.loads(answer.body)

    assert remote == {int(function.api.address.rpartition(":")[2])}
    assert waiting_before == 0
    assert seen["ping"] == "PONG"
    assert seen["draw"] != random.Random(SEED).random()


@pytest.mark.parametrize(
    ("fails", "status", "kind"),
    [("before", 64, "Runtime.BeforeSnapshotError"), ("after", 65, "Runtime.AfterRestoreError")],
)
async def test_a_hook_that_fails_ends_the_process_with_its_status(
    fails: str, status: int, kind: str, start: Start
) -> None:
    """64 before the snapshot and 65 behind it, each told at its own place."""
    function = await launched(start, f"{APPS}.plain", SNAPSHOT | {"FAILS": fails})
    function.api.restored.set()
    assert await function.exited() == status
    function.complaints = ""

    told = {"before": function.api.init_error, "after": function.api.restore_error}[fails]
    assert told is not None
    assert told[0] == told[1]["errorType"] == kind
    assert "a secret" not in json.dumps(told[1])


async def launched(start: Start, handler: str, env: dict[str, str]) -> ExecutionEnvironment:
    function = await start(STREAMING, env=env, handler=handler)
    function.launch()
    return function


async def test_the_web_adapter_finds_a_server(upstash: UpstashServer) -> None:
    """Its handler is a command that serves HTTP on the port that the adapter asks."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    given = {"PATH": path, "LAMBDA_TASK_ROOT": str(ROOT), "LAMBDA_RUNTIME_DIR": "/var/runtime"}
    process = await asyncio.create_subprocess_exec(
        *tethered([str(ROOT / "functions" / "web_adapter.sh")]),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=variables(upstash, port=0) | given,
        cwd="/",
    )
    try:
        assert process.stdout is not None
        async with asyncio.timeout(30):
            url = json.loads(await process.stdout.readline())["url"]
        async with httpx.AsyncClient(verify=False, timeout=30) as client:
            answer = await client.get(f"{url}/api/health/live")
    finally:
        process.kill()
        await process.wait()

    assert answer.status_code == 200
