"""`millrace jobs` while a job waits: nobody does it yet."""

from __future__ import annotations

import asyncio
import json

from tests.e2e.conftest import Start
from tests.support.command import Ended, millrace, started
from tests.support.container import Container
from tests.support.jobs import JobCaller


async def run(server: Container, *words: str) -> Ended:
    return await millrace("jobs", *words, MILLRACE_URL=server.url)


async def test_a_canceled_job_is_status_1_and_can_be_retried(start: Start) -> None:
    """Cancel and retry answer with the state of the job."""
    server = start(job_workers=0)
    async with JobCaller(server) as alice:
        job_id = await alice.start("report")

    canceled = await run(server, "cancel", job_id)
    watched = await run(server, "watch", job_id)
    retried = await run(server, "retry", job_id)
    again = await run(server, "retry", job_id)

    assert canceled.output.startswith("canceled")
    assert watched.status == 1
    assert retried.output.startswith("queued")
    assert (again.status, again.output) == (1, "")


async def test_watch_outlives_a_restart_of_its_server(start: Start) -> None:
    """The job goes on elsewhere; the end is seen when the server is back."""
    server = start(job_workers=0)
    async with JobCaller(server) as alice:
        job_id = await alice.start("report", csv="region,amount\nnorth,1\nnorth,2\n")
    async with started("jobs", "watch", job_id, MILLRACE_URL=server.url) as watch:
        assert (await watch.complaint()).startswith("queued")
        server.kill()
        assert await watch.complaint() == "The server does not answer; trying again."
        async with JobCaller(start()) as alice:
            await alice.done(job_id)
        await asyncio.to_thread(server.start)
        end = await watch.ended()

    assert end.status == 0, end.errors
    assert end.errors.splitlines()[0] == "The server is back."
    assert json.loads(end.output)["table"][0]["sum"] == 3
