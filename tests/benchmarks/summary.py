"""Medians over the rounds, and ratios taken within each round."""

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from tests.benchmarks.fanout import Load, Sample
from tests.benchmarks.plan import Pace
from tests.benchmarks.session import Delivery
from tests.benchmarks.targets import FLOOR, MILLRACE, PEER

_FLOOR_LIMIT = 1.7
_PEER_LIMIT = 0.6
_RSS_LIMIT_KB = 20.0


@dataclass(frozen=True)
class Row:
    """One target at one pace, medians over the rounds. A failure in any round is the row's."""

    target: str
    pace: Pace
    failure: str | None
    deliveries: int = 0
    cpu_us_per_delivery: float = 0.0
    over_floor: float | None = None
    over_peer: float | None = None
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    deliveries_per_s: float = 0.0
    client_cpu_us_per_delivery: float = 0.0
    rss_kb_per_connection: float = 0.0
    cpu_us_per_connect: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """An acceptance line. `measured` is None when a target it needs was not run or failed."""

    rule: str
    limit: float
    measured: float | None

    @property
    def word(self) -> str:
        if self.measured is None:
            return "NOT MEASURED"
        return "PASS" if self.measured <= self.limit else "MISS"


def rows(samples: list[Sample], load: Load) -> list[Row]:
    targets = dict.fromkeys(sample.target for sample in samples)
    return [
        _row(samples, target, at, pace) for at, pace in enumerate(load.paces) for target in targets
    ]


def verdicts(rows: list[Row]) -> list[Verdict]:
    lines = []
    ours = [row for row in rows if row.target == MILLRACE]
    for row in ours:
        at = f"at {row.pace.rate:g} events/s"
        lines.append(Verdict(f"{MILLRACE} / {FLOOR} {at}", _FLOOR_LIMIT, row.over_floor))
        lines.append(Verdict(f"{MILLRACE} / {PEER} {at}", _PEER_LIMIT, row.over_peer))
    for row in ours[:1]:
        rss_kb = None if row.failure else row.rss_kb_per_connection
        lines.append(Verdict("RSS kB per idle connection", _RSS_LIMIT_KB, rss_kb))
    return lines


def _row(samples: list[Sample], target: str, at: int, pace: Pace) -> Row:
    mine = [sample for sample in samples if sample.target == target]
    failures = [sample.failure for sample in mine if sample.failure]
    if failures:
        return Row(target, pace, failures[0])
    connecting = [sample.connecting for sample in mine if sample.connecting]
    delivered = [sample.delivered[at] for sample in mine]

    def middle(figure: Callable[[Delivery], float]) -> float:
        return median(figure(delivery) for delivery in delivered)

    return Row(
        target,
        pace,
        None,
        deliveries=sum(delivery.deliveries for delivery in delivered),
        cpu_us_per_delivery=middle(lambda delivery: delivery.cpu_us_per_delivery),
        over_floor=_ratio(samples, target, FLOOR, at),
        over_peer=_ratio(samples, target, PEER, at),
        p50_ms=middle(lambda delivery: delivery.p50_ms),
        p99_ms=middle(lambda delivery: delivery.p99_ms),
        deliveries_per_s=middle(lambda delivery: delivery.deliveries_per_s),
        client_cpu_us_per_delivery=middle(lambda delivery: delivery.client_cpu_us_per_delivery),
        rss_kb_per_connection=median(each.rss_kb_per_connection for each in connecting),
        cpu_us_per_connect=median(each.cpu_us_per_connect for each in connecting),
    )


def _ratio(samples: list[Sample], target: str, base: str, at: int) -> float | None:
    """Median of the rounds' ratios: neighbours in time share the machine's mood."""
    costs = {
        (sample.round, sample.target): sample.delivered[at].cpu_us_per_delivery
        for sample in samples
        if sample.failure is None
    }
    ratios = [
        cost / costs[number, base]
        for (number, name), cost in costs.items()
        if name == target and costs.get((number, base))
    ]
    return median(ratios) if ratios else None
