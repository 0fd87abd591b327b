"""The process: announced when it works, plainly a development server, gone in order."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from tests.support.ably_server import BANNER, AblyServer
from tests.support.local_server import ROOT
from tests.support.programs import run_module


@pytest.fixture
def server() -> Iterator[AblyServer]:
    """A server for a test that ends it."""
    own = AblyServer().start()
    yield own
    own.stop()


def run_cli(*options: str, **kwargs: Any) -> subprocess.CompletedProcess[str]:
    return run_module("infra.local.ably", *options, **kwargs)


def test_the_announcement_names_a_working_address(server: AblyServer) -> None:
    """The announced address answers at once."""
    assert httpx.get(f"{server.url}/time").status_code == httpx.codes.OK


def test_sigterm_ends_sockets_and_streams_with_status_zero(server: AblyServer) -> None:
    """It ends quickly, even with connected clients."""
    address = f"ws://127.0.0.1:{server.port}/?key={server.key}"
    query = {"channels": "a", "key": server.key}
    with (
        connect(address, proxy=None) as socket,
        httpx.stream("GET", f"{server.url}/sse", params=query) as answer,
    ):
        socket.recv()
        lines = answer.iter_lines()
        next(lines)
        started = time.perf_counter()

        assert server.stop() == 0
        list(lines)

    assert time.perf_counter() - started < 3
    assert not server.complaints


def test_the_end_of_stdin_ends_the_server(server: AblyServer) -> None:
    """A server ends when its starter was killed."""
    assert server.orphan() == 0
    assert not server.complaints


def test_it_says_on_stderr_that_it_is_a_development_server() -> None:
    """It must not be mistaken for the service."""
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.ably", "--port=0"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.terminate()

    _, complaints = process.communicate(timeout=10)

    assert BANNER in complaints.decode()
    assert process.returncode == 0


def test_it_binds_loopback_only_unless_told_otherwise() -> None:
    """A server whose key is on the command line must not be reached by others."""
    refused = run_cli("--host=0.0.0.0", "--port=0")

    assert refused.returncode == 1
    assert "--allow-remote" in refused.stderr


def test_a_port_in_use_is_one_line(server: AblyServer) -> None:
    refused = run_cli(f"--port={server.port}")

    assert refused.returncode == 1
    assert "cannot listen" in refused.stderr
    assert "Traceback" not in refused.stderr


def test_a_key_of_another_shape_is_refused() -> None:
    """It is refused before anything is started."""
    refused = run_cli("--key=nonsense")

    assert refused.returncode == 2
    assert "appId.keyId:secret" in refused.stderr
