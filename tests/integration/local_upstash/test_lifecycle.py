"""The process: announced when it works, gone without a trace, never hanging on a dead engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from infra.local.upstash.process import ValkeyProcess
from tests.support.local_server import ROOT
from tests.support.programs import run_module
from tests.support.upstash_server import UpstashServer


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpstashServer]:
    """A server for a test that ends it. The files of a killed one are removed here."""
    directory = tmp_path_factory.mktemp("u")
    own = UpstashServer("--engine-timeout=0.3", env={"TMPDIR": str(directory)}).start()
    yield own
    own.stop()


def engine_of(server: UpstashServer) -> psutil.Process:
    [engine] = psutil.Process(server.pid).children(recursive=True)
    assert "valkey" in engine.name()
    return engine


def run_cli(*options: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return run_module("infra.local.upstash", *options, **kwargs)


def test_the_announcement_names_a_working_address(server: UpstashServer) -> None:
    """The announced address answers at once."""
    response = httpx.get(f"{server.url}/ping", headers=server.headers())

    assert response.json() == {"result": "PONG"}
    assert server.token != server.readonly_token


def test_sigterm_ends_server_and_engine_with_status_zero(server: UpstashServer) -> None:
    """They end quickly, even with a connected subscriber."""
    engine = engine_of(server)
    with httpx.stream("POST", f"{server.url}/subscribe/ch", headers=server.headers()) as stream:
        next(stream.iter_lines())
        started = time.perf_counter()

        assert server.stop() == 0

    assert time.perf_counter() - started < 3
    engine.wait(timeout=5)
    assert not server.complaints


def test_a_signal_during_the_start_leaves_nothing_behind(tmp_path: Path) -> None:
    """Engine and directory are gone, and the status is 0."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.upstash", "--port=0"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
    )
    while not any(tmp_path.iterdir()) and process.poll() is None:
        time.sleep(0.001)

    process.terminate()

    assert process.wait(timeout=5) == 0
    assert not list(tmp_path.iterdir())


def test_a_killed_server_leaves_no_engine_behind(server: UpstashServer) -> None:
    """SIGKILL runs no handler: the kernel ends the engine."""
    engine = engine_of(server)

    server.kill()

    engine.wait(timeout=5)
    assert not engine.is_running()


def test_the_end_of_stdin_ends_the_server(server: UpstashServer) -> None:
    """A server ends when its starter was killed."""
    engine = engine_of(server)

    assert server.orphan() == 0

    engine.wait(timeout=5)
    assert not server.complaints


def test_a_dying_engine_ends_the_streams(server: UpstashServer) -> None:
    """A subscriber must notice that no more messages will come."""
    with httpx.stream("POST", f"{server.url}/subscribe/ch", headers=server.headers()) as stream:
        lines = stream.iter_lines()
        next(lines)

        engine_of(server).kill()

        with pytest.raises(httpx.RemoteProtocolError):
            list(lines)
    assert server.stop() == 0
    assert not server.complaints


@pytest.mark.parametrize("signal_name", ["kill", "suspend"])
def test_a_dead_engine_is_an_error_not_a_hang(server: UpstashServer, signal_name: str) -> None:
    """503 at once when it is gone, within the time limit when it is stuck."""
    engine = engine_of(server)
    with httpx.Client(base_url=server.url, headers=server.headers(), timeout=15) as http:
        assert http.get("/ping").status_code == 200

        getattr(engine, signal_name)()
        answers = [http.get(path) for path in ("/ping", "/pipeline")]
        stream = http.post("/subscribe/ch")
        if signal_name == "suspend":
            engine.resume()
            assert http.get("/ping").json() == {"result": "PONG"}

    assert answers[0].status_code == 503
    assert "engine is unavailable" in answers[0].json()["error"]
    assert answers[1].status_code == 400  # no body: refused before the engine is asked
    assert stream.status_code == 503


def test_a_taken_port_is_one_line_and_status_one(upstash_server: UpstashServer) -> None:
    """The person who started it needs no traceback."""
    port = httpx.URL(upstash_server.url).port

    ended = run_cli(f"--port={port}")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_a_remote_address_needs_to_be_allowed() -> None:
    """A database must not be open to others by accident."""
    ended = run_cli("--host=0.0.0.0", "--port=0")

    assert ended.returncode == 1
    assert "--allow-remote" in ended.stderr


def test_a_malformed_redis_url_is_one_line_and_status_one() -> None:
    """The message names the engine that is missing."""
    ended = run_cli("--port=0", env={"PATH": "", "REDIS_URL": "nonsense"})

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("upstash: REDIS_URL: ")


def test_a_missing_redis_is_one_line_and_status_one() -> None:
    """`REDIS_URL` names another engine; it must be there."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"redis://127.0.0.1:{unused.getsockname()[1]}"

        ended = run_cli("--port=0", env={"PATH": "", "REDIS_URL": url})

    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "the engine does not answer" in ended.stderr


async def test_another_redis_can_be_the_engine() -> None:
    """Then no Valkey is started, and the data is where the URL says."""
    engine = ValkeyProcess()
    servers: list[UpstashServer] = []
    try:
        await engine.start()
        servers += [UpstashServer(env={"REDIS_URL": engine.url}).start() for _ in range(2)]
        first, second = servers
        httpx.get(f"{first.url}/set/k/v", headers=first.headers())

        answer = httpx.get(f"{second.url}/get/k", headers=second.headers())

        assert answer.json() == {"result": "v"}
        assert psutil.Process(second.pid).children() == []
    finally:
        for server in servers:
            server.stop()
        engine.stop()


def test_tokens_can_be_chosen() -> None:
    """Settings can name the tokens before the server starts."""
    server = UpstashServer("--token=full", "--readonly-token=reads").start()
    try:
        assert (server.token, server.readonly_token) == ("full", "reads")
    finally:
        server.stop()
