"""A cold start: what importing an entry costs, beside the frameworks it stands on.

All start from one package, built as for Lambda but for this processor, by the Python that runs
there if it is on this machine. Processes are fresh and alternate; what counts is CPU time.
"""

import json
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from infra.aws.bytecode import find_interpreter
from infra.aws.package import PYTHON, Target, build

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
sys.path.insert(0, ".")
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


def measure_cold(rounds: int, folder: Path) -> list[Start]:
    """All entries in turn, `rounds` times, from a package that is built in `folder`."""
    cpu_s = _packaged(folder / "cold")
    seconds: dict[str, list[float]] = {entry: [] for entry in ENTRIES}
    for _ in range(rounds):
        for entry, program in ENTRIES.items():
            seconds[entry].append(cpu_s(program))
    medians = {entry: statistics.median(all_s) for entry, all_s in seconds.items()}
    bare = medians["bare frameworks"]
    return [Start(entry, median * 1000, median / bare) for entry, median in medians.items()]


def _packaged(tree: Path) -> Callable[[str], float]:
    """What tells the CPU seconds of a program that sees the package and nothing else."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    python = PYTHON if find_interpreter(PYTHON) else here
    interpreter = find_interpreter(python)
    assert interpreter is not None
    if build(Target(python, platform.machine()), tree):
        raise RuntimeError("the package could not be built")
    # A package has bytecode of what the functions import; the bare frameworks import more.
    everything = ["-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", "."]
    subprocess.run([interpreter, "-I", *everything], cwd=tree, check=True)

    def cpu_s(program: str) -> float:
        done = subprocess.run(
            [interpreter, "-I", "-S", "-c", MEASURED],
            input=program,
            cwd=tree,
            env=SETTINGS,
            capture_output=True,
            text=True,
            check=True,
        )
        return float(json.loads(done.stdout))

    return cpu_s
