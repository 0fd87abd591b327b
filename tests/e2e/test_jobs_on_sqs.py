"""Jobs through SQS, as moto plays it: batches on Lambda, and a process of its own."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from unittest import mock

import pytest

from tests.e2e.jobs import WORKING, Client, assert_one_story, client_of
from tests.support.aws import Aws
from tests.support.container import Container, WorkerProcess
from tests.support.instances import SECRET
from tests.support.sqs_event_source import EventSource, Function, Queues
from tests.support.upstash_server import UpstashServer

VISIBILITY_S = 2  # above a lease
RECEIVES = 3


@pytest.fixture(scope="module")
def queues() -> Iterator[Queues]:
    with Aws() as aws, mock.patch.dict(os.environ, aws.environment):
        yield Queues(visibility_s=VISIBILITY_S, receives=RECEIVES)


@pytest.fixture(scope="module")
def api(upstash_server: UpstashServer, queues: Queues) -> Iterator[Container]:
    container = Container(
        upstash_server, **WORKING, job_workers=0, jobs_queue_url=queues.url
    ).start()
    yield container
    container.kill()
    assert "Traceback" not in container.complaints, container.complaints


@pytest.fixture(scope="module")
def function(upstash_server: UpstashServer, queues: Queues) -> Iterator[Function]:
    own = {f"MILLRACE_{name.upper()}": str(value) for name, value in WORKING.items()}
    function = Function(
        {
            **os.environ,
            **own,
            "UPSTASH_REDIS_REST_URL": upstash_server.url,
            "UPSTASH_REDIS_REST_TOKEN": upstash_server.token,
            "MILLRACE_ENV": "local",
            "MILLRACE_SECRET": SECRET,
            "MILLRACE_JOB_WORKERS": "1",
            "MILLRACE_JOBS_QUEUE_URL": queues.url,
        }
    )
    yield function
    assert "Traceback" not in function.complaints, function.complaints
    function.close()


@pytest.fixture
def source(upstash: UpstashServer, queues: Queues, function: Function) -> EventSource:
    queues.renew()
    return EventSource(queues, function)


@pytest.fixture
async def client(api: Container, upstash: UpstashServer) -> AsyncIterator[Client]:
    async with client_of(api, upstash) as client:
        yield client


async def test_a_batch_of_jobs_is_done_and_leaves_the_queue_empty(
    client: Client, queues: Queues, source: EventSource, tmp_path: Path
) -> None:
    """From POST through SQS to the result; Redis holds no queue."""
    ids = [await client.create("walk", steps=2, notes=str(tmp_path / "notes")) for _ in range(4)]

    await asyncio.to_thread(source.poll_until, lambda: queues.count() == 0)

    assert {(await client.get(one))["status"] for one in ids} == {"succeeded"}
    assert await client._redis.read("EXISTS", "millrace:jobs:queue") == 0
    begun = (tmp_path / "notes").read_text().count("begins")
    assert begun == 4


async def test_a_message_that_is_no_job_fails_alone_and_ends_with_the_dead(
    client: Client, queues: Queues, source: EventSource
) -> None:
    """The good ones of its batch are not delivered again."""
    queues.send("not even JSON")
    job_id = await client.create("walk", steps=1)

    kept = source.poll() + source.poll()
    done = await client.until(job_id)
    await asyncio.to_thread(source.poll_until, lambda: bool(queues.dead()))

    assert [record["body"] for record in kept] == ["not even JSON"]
    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert queues.dead() == ["not even JSON"]
    assert queues.count() == 0


async def test_a_redelivery_does_no_work_twice(
    client: Client, queues: Queues, source: EventSource, tmp_path: Path
) -> None:
    """SQS delivers at least once; the second time there is nothing to do."""
    job_id = await client.create("walk", steps=1, notes=str(tmp_path / "notes"))
    records = queues.receive()

    answers = [source.function.invoke(records) for _ in range(2)]

    assert answers == [{"batchItemFailures": []}] * 2
    assert (tmp_path / "notes").read_text().count("begins") == 1
    assert_one_story(await client.history(job_id))


async def test_a_job_that_kills_its_workers_ends_with_the_dead_and_is_failed(
    client: Client, queues: Queues, source: EventSource
) -> None:
    """Two environments die of it; then SQS counts to the end, and the others are done."""
    starts = source.function.starts
    poison, healthy = await client.create("killer"), await client.create("walk", steps=1)

    await asyncio.to_thread(source.poll_until, lambda: bool(queues.dead()), within_s=25)

    done = await client.get(poison)
    assert (done["status"], done["attempt"]) == ("failed", 2)
    assert done["error"]["code"] == "worker-lost"
    assert [poison in body for body in queues.dead()] == [True]
    assert (await client.until(healthy))["status"] == "succeeded"
    assert source.function.starts - starts in (2, 3)


async def test_a_failed_attempt_is_made_again_by_a_new_message(
    client: Client, queues: Queues, source: EventSource
) -> None:
    """So that SQS does not count what the job's own attempts count."""
    job_id = await client.create("walk", steps=1, fails=RECEIVES + 1)

    await asyncio.to_thread(source.poll_until, lambda: queues.count() == 0)

    done = await client.get(job_id)
    assert (done["status"], done["attempt"]) == ("succeeded", RECEIVES + 2)
    assert queues.dead() == []


async def test_what_an_invocation_has_no_time_for_is_left_to_the_next(
    client: Client, queues: Queues, source: EventSource, tmp_path: Path
) -> None:
    """Each job is begun once, with time enough, however large the batch."""
    ids = [
        await client.create("walk", steps=3, pause_s=0.3, notes=str(tmp_path / "notes"))
        for _ in range(3)
    ]

    kept = await asyncio.to_thread(source.poll, timeout_s=4)
    first = [(await client.get(one))["status"] for one in ids]
    await asyncio.to_thread(source.poll_until, lambda: queues.count() == 0)

    assert kept == []
    assert sorted(first) == ["queued", "queued", "succeeded"]
    assert {(await client.get(one))["attempt"] for one in ids} == {1}
    assert (tmp_path / "notes").read_text().count("begins") == 3


async def test_a_job_that_outlasts_its_invocation_is_ended_in_time_and_tried_again(
    client: Client, source: EventSource
) -> None:
    """The function answers before its deadline; the attempt counts, or it would go on for ever."""
    job_id = await client.create("long", pause_s=60)
    loop = asyncio.get_running_loop()

    began = loop.time()
    kept: list[object] = []
    while (await client.get(job_id))["attempt"] == 0:
        kept += await asyncio.to_thread(source.poll, timeout_s=2)

    assert kept == []
    assert loop.time() - began < 4
    job = await client.get(job_id)
    assert (job["status"], job["attempt"]) == ("queued", 1)


def test_the_worker_function_loads_no_web_framework(source: EventSource) -> None:
    """It serves no requests, and starts faster without: seen in a fresh process."""
    source.function.invoke([])

    loaded = {name.partition(".")[0] for name in source.function.modules}
    assert "api" in loaded
    assert not loaded & {"litestar", "uvicorn", "mangum", "boto3", "botocore"}


async def test_a_process_of_its_own_works_on_sqs_and_hands_back_when_told_to_go(
    client: Client, queues: Queues, upstash: UpstashServer
) -> None:
    """The same worker, with SQS in the place of Redis."""
    queues.renew()
    settings = {**WORKING, "job_workers": 2, "jobs_queue_url": queues.url}
    first, second = (WorkerProcess(upstash, **settings) for _ in range(2))
    try:
        first.start()
        stumbling = await client.create("walk", steps=1, fails=1)
        assert (await client.until(stumbling))["attempt"] == 2
        held = await client.create("walk", steps=4, pause_s=0.4)
        await client.until(held, "running")
        assert first.stop() == 0
        second.start()
        done = await client.until(held)
    finally:
        first.kill()
        second.kill()

    assert (done["status"], done["attempt"]) == ("succeeded", 1)
    assert "Traceback" not in first.complaints + second.complaints
