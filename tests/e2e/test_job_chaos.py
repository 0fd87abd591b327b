"""Workers that are killed, frozen, or told to go: every job ends once, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Start
from tests.e2e.jobs import WORKING, Client, assert_one_story, client_of
from tests.support.container import Container, WorkerProcess
from tests.support.upstash_server import UpstashServer

JOBS = 100
WORKERS = 4
KILLS = 6
FROZEN_S = 2.5  # twice a lease and more

Hire = Callable[..., Container]


@pytest.fixture
async def client(start: Start, upstash: UpstashServer) -> AsyncIterator[Client]:
    """Of an API whose process does no jobs."""
    api = start(**WORKING, job_workers=0)
    async with client_of(api, upstash) as client:
        yield client


@pytest.fixture
def hire(upstash: UpstashServer) -> Iterator[Hire]:
    """Launches workers, and leaves none of them behind."""
    hired: list[Container] = []

    def hire_one(kind: type[Container] = WorkerProcess, **settings: object) -> Container:
        worker = kind(upstash, **{**WORKING, **settings})
        hired.append(worker)
        return worker.launch()

    yield hire_one
    for worker in hired:
        worker.thaw()
        worker.kill()
    for worker in hired:
        assert "Traceback" not in worker.complaints, worker.complaints


async def test_every_job_ends_once_though_workers_are_killed_and_frozen_at_random(
    client: Client, hire: Hire, tmp_path: Path
) -> None:
    """100 jobs, four workers: no result lost, none written twice, every attempt counted."""
    rng, notes = random.Random(5), tmp_path / "notes"
    workers = [hire(job_workers=4, job_max_receives=50) for _ in range(WORKERS)]
    ids = [
        await client.create("walk", steps=4, pause_s=0.1, notes=str(notes), fails=n % 10 == 0)
        for n in range(JOBS)
    ]
    for worker in workers:
        worker.ready()

    for number in range(KILLS):
        await asyncio.sleep(rng.uniform(0.1, 0.4))
        place = rng.randrange(WORKERS)
        if number == 2:
            workers[place].freeze()
            asyncio.get_running_loop().call_later(FROZEN_S, workers[place].thaw)
            continue
        workers[place].kill()
        workers[place] = hire(job_workers=4, job_max_receives=50)
    done = await client.all_done(ids)

    lines = [line.split() for line in notes.read_text().splitlines()]
    begun = Counter(job_id for word, job_id, _, _ in lines if word == "begins")
    assert Counter(job["status"] for job in done) == {"succeeded": JOBS}
    for job in done:
        assert_one_story(await client.history(job["id"]))
        assert job["result"]["attempt"] == job["attempt"] >= begun[job["id"]] > 0
    assert sum(job["attempt"] for job in done) > JOBS + JOBS // 10, "no kill hit a job"


async def test_a_frozen_worker_that_wakes_up_late_writes_nothing(
    client: Client, hire: Hire
) -> None:
    """Its lease was taken over: the job is the other's, and the sleeper goes on with new ones."""
    sleeper = hire(job_workers=1).ready()
    job_id = await client.create("walk", steps=8, pause_s=0.3)
    await client.until(job_id, "running")
    sleeper.freeze()
    other = hire(job_workers=1).ready()
    async with asyncio.timeout(10):
        while (await client.get(job_id))["attempt"] == 1:
            await asyncio.sleep(0.02)

    sleeper.thaw()  # with more of its walk behind it than the other
    done = await client.until(job_id)
    other.stop()
    last = await client.until(await client.create("walk", steps=1))

    assert (done["status"], done["attempt"]) == ("succeeded", 2)
    assert done["result"]["attempt"] == 2
    assert await client.get(job_id) == done
    assert_one_story(await client.history(job_id))
    assert last["result"]["pid"] != done["result"]["pid"]
    sleeper.stop()
    assert "job.fenced" in sleeper.complaints


async def test_a_job_that_kills_its_workers_fails_and_the_others_go_on(
    client: Client, hire: Hire, upstash: UpstashServer
) -> None:
    """Two attempts, two workers dead; then it is nobody's any more."""
    poison = await client.create("killer")
    for _ in range(2):
        assert hire(job_workers=1).wait() != 0
    healthy = await client.create("walk", steps=1)
    hire(job_workers=1)

    done = await client.until(poison)

    assert (await client.until(healthy))["status"] == "succeeded"
    assert (done["status"], done["attempt"]) == ("failed", 2)
    assert (done["error"]["code"], done["error"]["retryable"]) == ("worker-lost", True)
    assert_one_story(await client.history(poison))
    dead = await client._redis.read("XRANGE", "millrace:jobs:dead", "-", "+")
    assert [fields[1] for _, fields in dead] == [poison]


@pytest.mark.parametrize("kind", [WorkerProcess, Container])
async def test_a_worker_that_is_told_to_go_hands_its_job_back_at_once(
    client: Client, hire: Hire, kind: type[Container]
) -> None:
    """Another begins it long before the lease would have ended, and the attempt did not count."""
    leaving = hire(kind, job_workers=1, job_lease_s=60, job_heartbeat_s=1).ready()
    job_id = await client.create("walk", steps=4, pause_s=0.3)
    await client.until(job_id, "running")
    staying = hire(job_workers=1).ready()

    assert leaving.stop() == 0
    done = await client.until(job_id, timeout_s=8)

    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert_one_story(await client.history(job_id))
    assert staying.is_running


async def test_a_running_job_is_canceled_and_can_be_tried_again(client: Client, hire: Hire) -> None:
    """The cancel reaches another process with its next heartbeat; a retry keeps the id."""
    hire(job_workers=1)
    job_id = await client.create("walk", steps=10, pause_s=0.3)
    await client.until(job_id, "running")

    await client.http.post(f"/api/jobs/{job_id}/cancel")
    canceled = await client.until(job_id, timeout_s=3)
    answer = await client.http.post(f"/api/jobs/{job_id}/retry")
    done = await client.until(job_id)

    assert canceled["status"] == "canceled"
    assert answer.status_code == 202, answer.text
    assert (done["status"], done["attempt"]) == ("succeeded", 2)


async def test_fifty_jobs_at_once_through_a_container_with_its_own_workers(
    start: Start, upstash: UpstashServer
) -> None:
    """Serving and working in one process: all are done, in about their time."""
    api = start(**{**WORKING, "job_workers": 10})
    async with client_of(api, upstash) as client:
        ids = await asyncio.gather(
            *(client.create("walk", steps=3, pause_s=0.05) for _ in range(50))
        )
        done = await client.all_done(ids, timeout_s=15)

    assert Counter(job["status"] for job in done) == {"succeeded": 50}
    assert {job["attempt"] for job in done} == {1}
