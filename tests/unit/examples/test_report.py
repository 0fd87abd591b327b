"""The report counts what is there, names what is not, and says how far it is."""

from __future__ import annotations

import asyncio
import csv
import io
import statistics
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from api.examples.report import ReportInput, ReportResult, report
from api.examples.sample import write_sample
from api.jobs.model.handlers import JobFailed
from tests.unit.examples.recording import Recording, recording


async def run(context: Recording | None = None, /, **data: Any) -> ReportResult:
    return await report(context or recording(), ReportInput.model_validate(data))


async def test_the_numbers_are_those_of_another_calculation(tmp_path: Path) -> None:
    """The sample, read by other means."""
    file = tmp_path / "sample.csv"
    for _ in write_sample(file, rows=5_000, seed="s"):
        pass
    expected = defaultdict(list)
    for row in csv.DictReader(io.StringIO(file.read_text())):
        if row["amount"] not in (None, "n/a"):
            expected[row["region"]].append(float(row["amount"]))

    result = await run(sample_rows=5_000, seed="s")

    assert [one.group for one in result.table] == sorted(expected)
    for one in result.table:
        amounts = expected[one.group]
        assert (one.count, one.min, one.max) == (len(amounts), min(amounts), max(amounts))
        assert one.sum == pytest.approx(sum(amounts))
        assert one.mean == pytest.approx(statistics.fmean(amounts))
    assert result.bad_lines == 5_000 - sum(map(len, expected.values())) > 0


async def test_the_csv_is_the_table() -> None:
    """Either can be used."""
    result = await run(csv='region,amount\n"so, uth",1\nnorth,0.1\nnorth,0.2\n')

    read = list(csv.DictReader(io.StringIO(result.csv)))
    assert [row["region"] for row in read] == ["north", "so, uth"]
    assert [float(row["sum"]) for row in read] == [one.sum for one in result.table]
    assert list(read[0]) == ["region", "count", "sum", "mean", "min", "max"]


async def test_the_sample_follows_from_the_seed_and_that_from_the_job() -> None:
    """Each attempt of a job reports the same."""
    one, again = [await run(recording(job_id="job_1"), sample_rows=500) for _ in range(2)]
    other = await run(recording(job_id="job_2"), sample_rows=500)
    seeded = await run(recording(job_id="job_2"), sample_rows=500, seed="job_1")

    assert one == again == seeded != other


@pytest.mark.parametrize(
    ("line", "rule"),
    [
        ("north", "too short"),
        ("north,1,2", "too long"),
        (",1", "no group"),
        ("north,", "no number"),
        ("north,nan", "not a number"),
        ("north,1e301", "beyond what sums can hold"),
        ("north," + "9" * 200_000, "a field beyond the format's limit"),
        ("north,-inf", "infinite"),
    ],
)
async def test_a_bad_line_is_counted_named_and_left_out(line: str, rule: str) -> None:
    """The rest of the table is worth a report."""
    result = await run(csv=f"region,amount\nnorth,1\n{line}\n\nnorth,3\n")

    assert (result.rows, result.bad_lines, result.first_bad_lines) == (3, 1, [3]), rule
    assert [(one.count, one.sum) for one in result.table] == [(2, 4.0)]


async def test_rows_and_csv_of_the_same_table_report_the_same() -> None:
    """Whoever has JSON need not write CSV."""
    rows = [{"city": "Köln", "n": 1.5}, {"city": "Bonn", "n": None}, {"city": "Köln", "n": "2"}]

    result = await run(rows=rows, group_by="city", value="n")

    assert result == await run(csv="city,n\nKöln,1.5\nBonn,\nKöln,2\n", group_by="city", value="n")
    assert [(one.group, one.sum) for one in result.table] == [("Köln", 3.5)]
    assert result.bad_lines == 1


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("city,n\n1,2\n", "The table has no column 'region'. Its columns: city, n."),
        ("region\nnorth\n", "The table has no column 'amount'. Its columns: region."),
        ("", "The table has no column 'region'. Its columns: none."),
    ],
)
async def test_a_missing_column_fails_for_good_and_is_named(text: str, detail: str) -> None:
    """Another attempt would find the same table."""
    with pytest.raises(JobFailed) as failure:
        await run(csv=text)

    assert (failure.value.code, failure.value.retryable) == ("missing-column", False)
    assert failure.value.detail == detail


async def test_a_column_that_is_not_one_to_group_by_fails_for_good() -> None:
    """A result has bounds."""
    lines = "\n".join(f"{number},1" for number in range(1_001))

    with pytest.raises(JobFailed, match="too-many-groups"):
        await run(csv=f"region,amount\n{lines}\n")


async def test_steps_are_told_and_progress_only_grows() -> None:
    """What a client shows while it polls."""
    context = recording()

    await run(context, sample_rows=20_000)

    assert context.steps == [
        ("generate", 1, 4),
        ("parse", 2, 4),
        ("aggregate", 3, 4),
        ("write", 4, 4),
    ]
    assert len(context.parts) > 10
    assert context.parts == sorted(context.parts)
    assert context.parts[-1] > 0.99
    assert str(context.report.message).startswith("4 groups, ")


async def test_given_data_needs_no_sample() -> None:
    context = recording()

    await run(context, csv="region,amount\nnorth,1\n")

    assert [key for key, _, _ in context.steps] == ["parse", "aggregate", "write"]


async def test_cancel_stops_it_soon_and_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is in the middle of its sample when it is told."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    context = recording()
    task = asyncio.create_task(run(context, sample_rows=2_000_000))
    while not context.parts:
        await asyncio.sleep(0)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert context.parts[-1] < 0.5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "data",
    [
        {"csv": "a\n", "rows": [{}]},
        {"rows": []},
        {"rows": [{"a": []}]},
        {"csv": "x" * 500_001},
        {"sample_rows": 2_000_001},
        {"columns": 1},
    ],
)
def test_input_has_bounds(data: dict[str, Any]) -> None:
    """What is refused is refused before it is queued."""
    with pytest.raises(ValidationError):
        ReportInput.model_validate(data)
