"""Starts jobs over HTTP and follows them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx

from tests.support.caller import Caller
from tests.support.container import Container

TIMEOUT_S = 30.0
Job = dict[str, Any]


class JobCaller(Caller):
    """A user of `container` without a role."""

    def __init__(self, container: Container, user: str = "alice") -> None:
        super().__init__(container, user, [], timeout_s=TIMEOUT_S)

    async def start(self, type_: str, **data: Any) -> str:
        """Start a job. Returns its id."""
        answer = await self.http.post("/api/jobs", json={"type": type_, "input": data})
        job_id: str = answer.raise_for_status().json()["id"]
        return job_id

    async def get(self, job_id: str) -> Job:
        answer = await self.http.get(f"/api/jobs/{job_id}")
        job: Job = answer.raise_for_status().json()
        return job

    async def post(self, job_id: str, action: str) -> Job:
        """Cancel or retry a job, by the action of that name. Returns the job."""
        job: Job = (await self.http.post(f"/api/jobs/{job_id}/{action}")).raise_for_status().json()
        return job

    async def until(self, job_id: str, condition: Callable[[Job], bool]) -> Job:
        """The first state for which `condition` holds, by long polls."""
        async with asyncio.timeout(TIMEOUT_S):
            job = await self.get(job_id)
            while not condition(job):
                query = {"wait": 5, "after": job["version"]}
                answer = await self.http.get(f"/api/jobs/{job_id}", params=query)
                if answer.status_code != httpx.codes.NOT_MODIFIED:
                    job = answer.raise_for_status().json()
        return job

    async def done(self, job_id: str) -> Job:
        return await self.until(job_id, lambda job: bool(job["done"]))
