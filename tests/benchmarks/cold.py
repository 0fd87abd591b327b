"""A cold start: what importing an entry costs, beside the frameworks it stands on.

Processes are fresh and alternate; what counts is CPU time, as on a function it is what a
start waits for. Run it with the bytecode that a package carries: `python -m compileall`, or
one run before.
"""

import json
import os
import statistics
import subprocess
import sys
from dataclasses import dataclass

LIMIT = 1.35
BARE = """
import pydantic, upstash_redis.asyncio
from litestar import Litestar, get
from mangum import Mangum
class Answer(pydantic.BaseModel):
    text: str
@get("/")
async def hello() -> Answer:
    return Answer(text="hello")
handler = Mangum(Litestar([hello]), lifespan="off")
redis = upstash_redis.asyncio.Redis("http://127.0.0.1:9", "none")
"""
ENTRIES = {
    "bare frameworks": BARE,
    "functions.http": "import functions.http",
    "functions.stream": "import functions.stream",
    "functions.worker": "import functions.worker",
}
MEASURED = """
import resource, sys
program = sys.stdin.read()
before = resource.getrusage(resource.RUSAGE_SELF)
exec(program)
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
"""
SETTINGS = {
    "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:9",
    "UPSTASH_REDIS_REST_TOKEN": "none",
    "MILLRACE_SECRET": "0123456789abcdef" * 2,
    "MILLRACE_JOBS_QUEUE_URL": "http://127.0.0.1:9/0/jobs",
}


@dataclass(frozen=True)
class Start:
    """Median CPU milliseconds of one entry, and as a multiple of the bare frameworks'."""

    entry: str
    cpu_ms: float
    ratio: float


def measure_cold(rounds: int) -> list[Start]:
    """All entries in turn, `rounds` times; the first turn, which may compile, does not count."""
    seconds: dict[str, list[float]] = {entry: [] for entry in ENTRIES}
    for _ in range(rounds + 1):
        for entry, program in ENTRIES.items():
            seconds[entry].append(_cpu_s(program))
    medians = {entry: statistics.median(all_s[1:]) for entry, all_s in seconds.items()}
    bare = medians["bare frameworks"]
    return [Start(entry, median * 1000, median / bare) for entry, median in medians.items()]


def _cpu_s(program: str) -> float:
    done = subprocess.run(
        [sys.executable, "-c", MEASURED],
        input=program,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(json.loads(done.stdout))
