"""The same app under uvicorn (httptools, h11) and, where it is installed, granian."""

import functools
import importlib.util
import sys

import uvloop

from tests.benchmarks import fanout, report, summary
from tests.benchmarks.__main__ import raise_descriptor_limit
from tests.benchmarks.plan import parse
from tests.benchmarks.targets import FLOOR, TARGETS, line_target


def main() -> int:
    """Takes the options of `python -m tests.benchmarks`, but for --only and --scenario."""
    plan = parse(sys.argv[1:])
    raise_descriptor_limit()
    openers = {FLOOR: TARGETS[FLOOR]} | {
        f"uvicorn-{http}" if http != "granian" else http: functools.partial(
            line_target, f"hub-{http}", ["tests.benchmarks.hub_app", http]
        )
        for http in _servers()
    }
    load = fanout.fanout_load(plan)
    rows = summary.rows(uvloop.run(fanout.measure(openers, load, plan.rounds)), load)
    print(report.fanout_table(rows, load))
    return int(any(row.failure for row in rows))


def _servers() -> list[str]:
    granian = ["granian"] if importlib.util.find_spec("granian") else []
    return ["httptools", "h11", *granian]


if __name__ == "__main__":
    sys.exit(main())
