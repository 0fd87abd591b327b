"""What one run does; the command line fills it in."""

import argparse
import math
from dataclasses import dataclass

from tests.benchmarks.targets import TARGETS

SCENARIOS = ("fanout", "burst", "idle", "cold")


@dataclass(frozen=True)
class Pace:
    """`events` of them at `rate` per second; infinity is as fast as they are taken."""

    rate: float
    events: int

    @property
    def is_burst(self) -> bool:
        return math.isinf(self.rate)


@dataclass(frozen=True)
class Plan:
    readers: int
    paces: tuple[Pace, ...]
    payload_bytes: int
    rounds: int
    targets: tuple[str, ...]
    scenarios: tuple[str, ...]
    burst_events: int
    burst_readers: int
    idle_s: float
    idle_events: int
    cold_rounds: int


def parse(arguments: list[str]) -> Plan:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.quick:
        parser.set_defaults(**_QUICK)
        options = parser.parse_args(arguments)
    if len(options.rate) != len(options.events):
        parser.error("give as many --events as --rate")
    paces = zip(options.rate, options.events, strict=True)
    return Plan(
        readers=options.readers,
        paces=tuple(Pace(rate, events) for rate, events in paces),
        payload_bytes=options.payload,
        rounds=options.rounds,
        targets=_chosen(parser, options.only, tuple(TARGETS)),
        scenarios=_chosen(parser, options.scenario, SCENARIOS),
        burst_events=options.burst_events,
        burst_readers=50,
        idle_s=options.idle_s,
        idle_events=options.idle_events,
        cold_rounds=options.cold_rounds,
    )


_FULL = {
    "readers": 1000,
    "rate": [4.0, 20.0],
    "events": [32, 60],
    "payload": 200,
    "rounds": 3,
    "only": ",".join(TARGETS),
    "scenario": ",".join(SCENARIOS),
    "burst_events": 10_000,
    "idle_s": 30.0,
    "idle_events": 48,
    "cold_rounds": 9,
}
_QUICK = {
    "readers": 300,
    "events": [8, 20],
    "rounds": 1,
    "burst_events": 2000,
    "idle_s": 3.0,
    "idle_events": 8,
    "cold_rounds": 3,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks", formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    parser.add_argument("--readers", type=int, help="streams on the one topic")
    parser.add_argument("--rate", type=float, nargs="+", help="events per second, one per series")
    parser.add_argument("--events", type=int, nargs="+", help="events in each series")
    parser.add_argument("--payload", type=int, help="bytes of JSON in each event, 40 at least")
    parser.add_argument("--rounds", type=int, help="times each target is measured; medians count")
    parser.add_argument("--only", help="targets to measure")
    parser.add_argument("--scenario", help="scenarios to run")
    parser.add_argument("--quick", action="store_true", help="rough figures in under a minute")
    parser.set_defaults(**_FULL)
    return parser


def _chosen(parser: argparse.ArgumentParser, text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(text.split(","))
    unknown = set(chosen) - set(known)
    if unknown:
        parser.error(f"{', '.join(sorted(unknown))} is not among {', '.join(known)}")
    return chosen
