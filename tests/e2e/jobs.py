"""Jobs by real processes: an API that does none, and workers that serve nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import httpx

from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.support.container import Container
from tests.support.upstash_server import UpstashServer

Json = dict[str, Any]
WORKING = {
    "extensions": "tests.support.job_types",
    "job_lease_s": 1,
    "job_heartbeat_s": 0.2,
    "job_backoff_s": 0.1,
    "job_poll_idle_ms": 100,
    "poll_min_ms": 20,
}


class Client:
    """Creates jobs over HTTP, and reads their states."""

    def __init__(self, http: httpx.AsyncClient, redis: UpstashClient) -> None:
        self.http = http
        self._redis = redis

    async def create(self, type_: str, **data: Any) -> str:
        answer = await self.http.post("/api/jobs", json={"type": type_, "input": data})
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    async def get(self, job_id: str) -> Json:
        answer = await self.http.get(f"/api/jobs/{job_id}")
        assert answer.status_code == 200, answer.text
        job: Json = answer.json()
        return job

    async def until(self, job_id: str, *statuses: str, timeout_s: float = 20) -> Json:
        """Wait until the job has one of the statuses; without any, until it is done."""
        async with asyncio.timeout(timeout_s):
            while True:
                job = await self.get(job_id)
                if job["status"] in statuses or (job["done"] and not statuses):
                    return job
                await asyncio.sleep(0.1)

    async def all_done(self, job_ids: Sequence[str], *, timeout_s: float = 30) -> list[Json]:
        """Wait until all jobs are done. Returns them."""
        clock = asyncio.get_running_loop().time
        until = clock() + timeout_s
        while True:
            found = [
                job
                for first in range(0, len(job_ids), 100)
                for job in await self._some(job_ids[first : first + 100])
            ]
            late = [job for job in found if not job["done"]]
            if not late:
                return found
            assert clock() < until, late
            await asyncio.sleep(0.3)

    async def history(self, job_id: str) -> list[Json]:
        """All states of a job that were ever written, in order, from its log."""
        entries = await self._redis.read("XRANGE", f"millrace:topic:job:{job_id}", "-", "+")
        return [json.loads(fields[1])["data"] for _, fields in entries]

    async def _some(self, job_ids: Sequence[str]) -> list[Json]:
        answer = await self.http.get("/api/jobs", params={"ids": ",".join(job_ids)})
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert body["missing"] == []
        data: list[Json] = body["data"]
        return data


@asynccontextmanager
async def client_of(api: Container, upstash: UpstashServer) -> AsyncIterator[Client]:
    redis = UpstashClient(upstash.url, upstash.token, timeout_s=10, meter=CommandMeter())
    headers = {"Authorization": f"Bearer {api.token()}"}
    # No TLS here: loading the authorities would be most of the work.
    async with httpx.AsyncClient(
        base_url=api.url, headers=headers, timeout=20, verify=False
    ) as http:
        yield Client(http, redis)
    await redis.close()


def assert_one_story(history: Sequence[Json]) -> None:
    """Check that versions have no gap, attempts count up, and nothing comes after the one end."""
    assert [state["version"] for state in history] == list(range(1, len(history) + 1))
    assert [state["done"] for state in history[:-1]] == [False] * (len(history) - 1)
    assert history[-1]["done"]
    for before, after in pairwise(history):
        # An attempt that was handed back does not count.
        assert after["attempt"] >= before["attempt"] or after["status"] == "queued"
        if before["attempt"] == after["attempt"] and before["status"] == after["status"]:
            assert (after["progress"] or 0) >= (before["progress"] or 0)
