"""The figures as Markdown for people and as JSON for the next run to compare with."""

import dataclasses
import json
from collections.abc import Iterable
from pathlib import Path

from tests.benchmarks.cold import LIMIT, Start
from tests.benchmarks.fanout import Load
from tests.benchmarks.idle import Idle
from tests.benchmarks.summary import Row, Verdict

_CHECKED = "each once, in order"


def fanout_table(rows: list[Row], load: Load) -> str:
    head = (
        "server", "events/s", "CPU us per delivery", "x floor", "x litestar-sse", "p50 ms",
        "p99 ms", "RSS kB per connection", "CPU us per connect", "client us", "deliveries checked",
    )  # fmt: skip
    title = f"Fan-out: one topic, {load.readers:,} readers, {load.payload_bytes}-byte payloads"
    return _section(title, head, (_fanout_cells(row, len(head)) for row in rows))


def burst_table(rows: list[Row], load: Load) -> str:
    head = (
        "server", "CPU us per delivery", "x floor", "x litestar-sse", "deliveries/s", "p50 ms",
        "p99 ms", "client us", "deliveries checked",
    )  # fmt: skip
    title = f"Burst: {load.paces[0].events:,} events to {load.readers:,} readers"
    return _section(title, head, (_burst_cells(row, len(head)) for row in rows))


def idle_table(results: list[Idle], readers: int) -> str:
    head = (
        "doorbell", "billed commands/s", "by command", "CPU ms per s",
        "p50 ms", "p95 ms", "deliveries checked",
    )  # fmt: skip
    title = f"Idle: millrace with {readers:,} readers, then 4 events/s at random times"
    return _section(title, head, (_idle_cells(result, len(head)) for result in results))


def cold_table(starts: list[Start]) -> str:
    title = f"Cold start: CPU of an import in a fresh process; functions.http <= {LIMIT}"
    head = ("entry", "CPU ms", "x bare frameworks")
    return _section(
        title, head, ((one.entry, f"{one.cpu_ms:.0f}", f"{one.ratio:.2f}") for one in starts)
    )


def verdict_table(verdicts: list[Verdict], readers: int) -> str:
    cells = (
        (f"{line.rule} <= {line.limit:g}", _number(line.measured), line.word) for line in verdicts
    )
    return _section(f"Acceptance, with {readers:,} readers", ("rule", "measured", "verdict"), cells)


def write_json(path: Path, **parts: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(parts, indent=2, default=_plain) + "\n")


def _fanout_cells(row: Row, width: int) -> tuple[str, ...]:
    start = (row.target, f"{row.pace.rate:g}")
    if row.failure:
        return _failed(start, row.failure, width)
    return (
        *start,
        *_costs(row),
        _number(row.p50_ms),
        _number(row.p99_ms),
        _number(row.rss_kb_per_connection),
        _number(row.cpu_us_per_connect),
        _number(row.client_cpu_us_per_delivery),
        f"{row.deliveries:,} {_CHECKED}",
    )


def _burst_cells(row: Row, width: int) -> tuple[str, ...]:
    if row.failure:
        return _failed((row.target,), row.failure, width)
    return (
        row.target,
        *_costs(row),
        f"{row.deliveries_per_s:,.0f}",
        _number(row.p50_ms),
        _number(row.p99_ms),
        _number(row.client_cpu_us_per_delivery),
        f"{row.deliveries:,} {_CHECKED}",
    )


def _idle_cells(result: Idle, width: int) -> tuple[str, ...]:
    start = ("on" if result.doorbell else "off",)
    if result.sparse is None:
        return _failed(start, result.failure or "", width)
    rates = dict(result.commands_per_s)
    billed = rates.pop("billed", 0.0)
    return (
        *start,
        _number(billed),
        ", ".join(f"{name} {_number(rate)}" for name, rate in sorted(rates.items())),
        _number(result.cpu_us_per_s / 1000),
        _number(result.sparse.p50_ms),
        _number(result.sparse.p95_ms),
        f"{result.sparse.deliveries:,} {_CHECKED}",
    )


def _costs(row: Row) -> tuple[str, ...]:
    return _number(row.cpu_us_per_delivery), _number(row.over_floor), _number(row.over_peer)


def _failed(start: tuple[str, ...], reason: str, width: int) -> tuple[str, ...]:
    blank = [""] * (width - len(start) - 1)
    return (*start, *blank, "FAILED: " + " ".join(reason.split()).replace("|", "/"))


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}"


def _section(title: str, head: tuple[str, ...], lines: Iterable[tuple[str, ...]]) -> str:
    rule = ("---",) * len(head)
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *lines))
    return f"## {title}\n\n{table}\n"


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"no JSON for {type(value).__name__}")
