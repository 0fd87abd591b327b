"""What one run does; the command line fills it in."""

import argparse
import math
from dataclasses import dataclass

from tests.benchmarks.targets import TARGETS

SCENARIOS = ("fanout", "burst", "idle")


@dataclass(frozen=True)
class Pace:
    """A series of events: `events` of them at `rate` per second; infinity is as fast as they are taken."""

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


def parse(arguments: list[str]) -> Plan:
    options = _parser().parse_args(arguments)
    defaults = _QUICK if options.quick else _FULL
    values = {key: value for key, value in vars(options).items() if value is not None}
    values = defaults | values
    if len(values["rate"]) != len(values["events"]):
        raise SystemExit("give as many --events as --rate")
    paces = zip(values["rate"], values["events"], strict=True)
    return Plan(
        readers=values["readers"],
        paces=tuple(Pace(rate, events) for rate, events in paces),
        payload_bytes=values["payload"],
        rounds=values["rounds"],
        targets=_chosen(values["only"], tuple(TARGETS)),
        scenarios=_chosen(values["scenario"], SCENARIOS),
        burst_events=values["burst_events"],
        burst_readers=50,
        idle_s=values["idle_s"],
        idle_events=values["idle_events"],
    )


_FULL = {
    "readers": 1000,
    "rate": [4.0, 20.0],
    "events": [40, 60],
    "payload": 200,
    "rounds": 3,
    "only": "",
    "scenario": "",
    "burst_events": 10_000,
    "idle_s": 30.0,
    "idle_events": 60,
}
_QUICK = _FULL | {
    "readers": 200,
    "events": [12, 40],
    "rounds": 1,
    "burst_events": 2000,
    "idle_s": 4.0,
    "idle_events": 12,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("--readers", type=int, help="streams on the one topic")
    parser.add_argument("--rate", type=float, nargs="+", help="events per second, one per series")
    parser.add_argument("--events", type=int, nargs="+", help="events in each series")
    parser.add_argument("--payload", type=int, help="bytes of JSON in each event")
    parser.add_argument("--rounds", type=int, help="times each target is measured; medians count")
    parser.add_argument("--only", help=f"some of {','.join(TARGETS)}")
    parser.add_argument("--scenario", help=f"some of {','.join(SCENARIOS)}")
    parser.add_argument("--quick", action="store_true", help="small figures, under a minute")
    return parser


def _chosen(text: str, known: tuple[str, ...]) -> tuple[str, ...]:
    chosen = tuple(text.split(",")) if text else known
    unknown = set(chosen) - set(known)
    if unknown:
        raise SystemExit(f"unknown: {', '.join(sorted(unknown))}; known: {', '.join(known)}")
    return chosen
