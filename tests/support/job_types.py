"""An extension module with job types for tests of real workers."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from pydantic import BaseModel

from api.extensions import Extensions
from api.jobs import JobContext, JobFailed, job


class Walk(BaseModel):
    """Steps with pauses. Each is noted in `notes`, a file that all workers append to."""

    steps: int = 5
    pause_s: float = 0.05
    notes: str = ""
    fails: int = 0


class Walked(BaseModel):
    steps: int
    attempt: int
    pid: int


@job("walk", input=Walk, result=Walked, max_attempts=50, timeout_s=20)
async def walk(context: JobContext, data: Walk) -> Walked:
    """Take some steps. The first `fails` attempts fail at the end."""
    note(data, context, "begins")
    for step in range(data.steps):
        await context.progress(step, data.steps)
        await asyncio.sleep(data.pause_s)
    if context.attempt <= data.fails:
        raise JobFailed("stumbled", "It fell.", retryable=True)
    note(data, context, "arrives")
    return Walked(steps=data.steps, attempt=context.attempt, pid=os.getpid())


@job("killer", input=Walk, result=Walked, max_attempts=2, timeout_s=20)
async def killer(context: JobContext, data: Walk) -> Walked:
    """Kill the process that does it, at each attempt."""
    note(data, context, "kills")
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


@job("long", input=Walk, result=Walked, max_attempts=3, timeout_s=3600)
async def long(context: JobContext, data: Walk) -> Walked:
    """Need more time than any invocation has."""
    note(data, context, "begins")
    await asyncio.sleep(data.pause_s)
    return Walked(steps=0, attempt=context.attempt, pid=os.getpid())


def note(data: Walk, context: JobContext, word: str) -> None:
    if data.notes:
        with Path(data.notes).open("a") as file:
            file.write(f"{word} {context.job_id} {context.attempt} {os.getpid()}\n")


def extend(millrace: Extensions) -> None:
    for handler in (walk, killer, long):
        millrace.job(handler)
