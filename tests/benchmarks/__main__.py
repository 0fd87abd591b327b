"""Run the plan, print the tables, and exit 1 when a delivery was wrong."""

import resource
import sys

import uvloop

from tests.benchmarks import fanout, report, summary
from tests.benchmarks.cold import measure_cold
from tests.benchmarks.idle import Idle, measure_idle
from tests.benchmarks.plan import Plan, parse
from tests.benchmarks.servers import BUILD
from tests.benchmarks.summary import Row
from tests.benchmarks.targets import MILLRACE, TARGETS


def main() -> int:
    plan = parse(sys.argv[1:])
    raise_descriptor_limit()
    return uvloop.run(_run(plan))


def raise_descriptor_limit() -> None:
    """Thousands of sockets need more than the usual soft limit; servers inherit it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def _run(plan: Plan) -> int:
    rows: list[Row] = []
    burst: list[Row] = []
    idle: list[Idle] = []
    if "fanout" in plan.scenarios:
        load = fanout.fanout_load(plan)
        rows = await _rows(plan, load)
        print(report.fanout_table(rows, load), flush=True)
    if "burst" in plan.scenarios:
        load = fanout.burst_load(plan)
        burst = await _rows(plan, load)
        print(report.burst_table(burst, load), flush=True)
    if "idle" in plan.scenarios and MILLRACE in plan.targets:
        idle = await measure_idle(plan)
        print(report.idle_table(idle, plan.readers), flush=True)
    starts = measure_cold(plan.cold_rounds, BUILD) if "cold" in plan.scenarios else []
    if starts:
        print(report.cold_table(starts), flush=True)
    verdicts = summary.verdicts(rows)
    if verdicts:
        print(report.verdict_table(verdicts, plan.readers))
    report.write_json(
        BUILD / "fanout.json",
        plan=plan,
        fanout=rows,
        burst=burst,
        idle=idle,
        cold=starts,
        verdicts=verdicts,
    )
    failures = [row.failure for row in (*rows, *burst)] + [result.failure for result in idle]
    return int(any(failures))


async def _rows(plan: Plan, load: fanout.Load) -> list[Row]:
    openers = {name: TARGETS[name] for name in plan.targets}
    return summary.rows(await fanout.measure(openers, load, plan.rounds), load)


if __name__ == "__main__":
    sys.exit(main())
