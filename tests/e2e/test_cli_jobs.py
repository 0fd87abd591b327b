"""`millrace jobs`, as a process, with jobs of real servers."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

from tests.support.command import Ended, millrace
from tests.support.container import Container
from tests.support.local_server import ROOT

TABLE = json.dumps({"csv": "region,amount\nnorth,1\nnorth,2\n"})
LARGE = json.dumps({"sample_rows": 200_000})
WRONG = json.dumps({"csv": "city,n\nBonn,1\n"})


async def run(server: Container, *words: str) -> Ended:
    return await millrace("jobs", *words, MILLRACE_URL=server.url)


def documents(end: Ended) -> list[dict[str, Any]]:
    return [json.loads(line) for line in end.output.splitlines()]


async def test_watch_shows_the_steps_and_prints_the_result(job_host: Container) -> None:
    """States go to stderr, the result alone to stdout: it can be redirected."""
    end = await run(job_host, "start", "report", "--watch")

    assert end.status == 0, end.errors
    assert re.search(
        r"^running +\d+ %  .+ \(\d/4\) · [\d,]+ of 300,000 rows$", end.errors, re.MULTILINE
    )
    assert end.errors.splitlines()[-1].startswith("succeeded  100 %")
    [result] = documents(end)
    assert result["rows"] == 300_000


async def test_watch_as_json_is_a_line_for_each_state(job_host: Container) -> None:
    """With a version that rises, and a last one that is done."""
    end = await run(job_host, "start", "report", "--watch", "--json", "--input", TABLE)

    states = documents(end)
    assert (end.status, end.errors) == (0, "")
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert states[-1]["status"] == "succeeded"
    assert states[-1]["result"]["table"][0]["sum"] == 3


async def test_a_failed_job_is_status_1_and_says_why(job_host: Container) -> None:
    """In the words of its handler."""
    end = await run(job_host, "start", "report", "--watch", "--input", WRONG)

    assert (end.status, end.output) == (1, "")
    assert "The table has no column 'region'. Its columns: city, n." in end.errors


async def test_list_shows_the_newest_first_and_only_what_is_asked_for(
    job_host: Container,
) -> None:
    """Of the caller's own jobs."""
    words = ("start", "report", "--watch", "--json", "--user", "lister", "--input")
    first = documents(await run(job_host, *words, TABLE))
    await run(job_host, *words, WRONG)

    both = await run(job_host, "list", "--user", "lister")
    succeeded = await run(job_host, "list", "--user", "lister", "--json", "--status", "succeeded")

    assert [line.split()[2:4] for line in both.output.splitlines()] == [
        ["report", "failed"],
        ["report", "succeeded"],
    ]
    assert [one["id"] for one in documents(succeeded)] == [first[0]["id"]]


async def test_input_that_is_not_right_is_refused_by_field(job_host: Container) -> None:
    """Before a job is made."""
    end = await run(job_host, "start", "report", "--input", '{"sample_rows": 0}')
    unknown = await run(job_host, "watch", "job_01KAJ7Z3Q8V5T2M9C4R6W1X0YB")

    assert (end.status, unknown.status) == (1, 1)
    assert "  input.sample_rows: Input should be greater than or equal to 1" in end.errors
    assert "Traceback" not in unknown.errors


def test_a_terminal_gets_a_bar(job_host: Container) -> None:
    """Where somebody looks, lines would scroll away."""
    ours, its = pty.openpty()
    words = ("jobs", "start", "report", "--watch", "--url", job_host.url, "--input", LARGE)
    command = subprocess.Popen(
        [sys.executable, "-m", "api.cli", *words],
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "100"},
        stdout=subprocess.PIPE,
        stderr=its,
    )
    os.close(its)
    drawn = bytearray()
    with command:
        try:
            while chunk := os.read(ours, 65_536):
                drawn += chunk
        except OSError:  # how a terminal says that nobody writes any more
            pass
        assert command.stdout is not None
        result = json.loads(command.stdout.read())
    os.close(ours)

    assert command.returncode == 0
    assert "━━━" in drawn.decode()
    assert "Write the report (4/4)" in drawn.decode()
    assert result["rows"] == 200_000
