"""The job `report`: statistics of a table by group, from the caller's data or from a sample."""

import csv
import io
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Final, Self, TextIO

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.examples.chunks import Pieces, driven
from api.examples.sample import write_sample
from api.examples.table import (
    MAX_GROUPS,
    NoSuchColumn,
    Numbers,
    TooManyGroups,
    Values,
    aggregate,
    parse,
    render,
)
from api.jobs import JobContext, JobFailed, job

LABELS: Final = {
    "generate": "Generate a sample",
    "parse": "Parse the rows",
    "aggregate": "Aggregate the groups",
    "write": "Write the report",
}
MAX_COLUMNS_NAMED: Final = 20

Column = Annotated[str, Field(min_length=1, max_length=64)]
Cell = str | int | float | bool | None


class ReportInput(BaseModel):
    """Input of a `report` job: a table as `csv` or `rows`; without both, a sample is generated."""

    model_config = ConfigDict(extra="forbid")

    csv: Annotated[
        str | None, Field(max_length=500_000, description="A table with a header line.")
    ] = None
    rows: Annotated[list[dict[Column, Cell]] | None, Field(min_length=1, max_length=5_000)] = None
    group_by: Annotated[Column, Field(description="The column to group by.")] = "region"
    value: Annotated[Column, Field(description="The column of numbers.")] = "amount"
    sample_rows: Annotated[int, Field(ge=1, le=2_000_000, description="Of the sample.")] = 300_000
    seed: Annotated[
        str | None,
        Field(max_length=64, description="The same sample again; without, one for each job."),
    ] = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.csv is not None and self.rows is not None:
            raise ValueError("give csv or rows, not both")
        return self


class GroupView(BaseModel):
    """Statistics of one group of the table."""

    group: str
    count: int
    sum: float
    mean: float
    min: float
    max: float


class ReportResult(BaseModel):
    """Result of a `report` job: statistics of each group, also as CSV."""

    group_by: str
    value: str
    rows: Annotated[int, Field(description="Rows that were read, bad ones included.")]
    bad_lines: Annotated[int, Field(description="Lines that were left out.")]
    first_bad_lines: Annotated[list[int], Field(description="Their numbers; the header is 1.")]
    table: list[GroupView]
    csv: str


@job(
    "report",
    input=ReportInput,
    result=ReportResult,
    max_attempts=3,
    timeout_s=120,
    summary="Count, sum, mean, least and greatest of a column, by another column.",
)
async def report(context: JobContext, data: ReportInput) -> ReportResult:
    """Read the table and compute statistics of each group, with a step for each part of the work.

    Bad lines are counted and left out. The job fails for good if the table does not have the
    columns, or has more than `MAX_GROUPS` groups.
    """
    with tempfile.TemporaryDirectory(prefix="millrace-report-") as folder:
        try:
            return await _Work(context, data, Path(folder) / "sample.csv").result()
        except NoSuchColumn as error:
            raise JobFailed("missing-column", _columns(error), retryable=False) from None
        except TooManyGroups:
            detail = f"'{data.group_by}' has more than {MAX_GROUPS} groups: use another column."
            raise JobFailed("too-many-groups", detail, retryable=False) from None


class _Work:
    """One attempt at a report. Progress counts rows: each step but the last reads all."""

    def __init__(self, context: JobContext, data: ReportInput, sample: Path) -> None:
        self._context = context
        self._data = data
        self._sample = sample
        self._text = _text(data)
        self._keys = [key for key in LABELS if key != "generate" or self._text is None]
        self._rows = data.sample_rows if self._text is None else self._text.count("\n")
        self._passed = 0

    async def result(self) -> ReportResult:
        values, table = Values(), list[Numbers]()
        if self._text is None:
            seed = self._data.seed or self._context.job_id
            pieces = write_sample(self._sample, rows=self._rows, seed=seed)
            await self._step("generate", pieces)
        await self._step("parse", self._parsed(values))
        await self._step("aggregate", aggregate(values, table))
        await self._announce("write")
        await self._context.message(f"{len(table):,} groups, {values.bad_lines:,} bad lines")
        return self._written(values, table)

    def _parsed(self, values: Values) -> Pieces:
        with self._lines() as lines:
            yield from parse(lines, values, group_by=self._data.group_by, value=self._data.value)

    def _lines(self) -> TextIO:
        if self._text is None:
            return self._sample.open(newline="", encoding="utf-8")
        return io.StringIO(self._text, newline="")

    async def _step(self, key: str, pieces: Pieces) -> None:
        await self._announce(key)
        await driven(pieces, self._report)
        self._passed += self._rows

    async def _announce(self, key: str) -> None:
        index = self._keys.index(key) + 1
        await self._context.step(key, index=index, total=len(self._keys), label=LABELS[key])

    async def _report(self, rows: int) -> None:
        total = self._rows * (len(self._keys) - 1)
        note = f"{rows:,} of {self._rows:,} rows"
        await self._context.progress(self._passed + rows, total, note=note)

    def _written(self, values: Values, table: list[Numbers]) -> ReportResult:
        return ReportResult(
            group_by=self._data.group_by,
            value=self._data.value,
            rows=values.rows,
            bad_lines=values.bad_lines,
            first_bad_lines=values.first_bad_lines,
            table=[GroupView(**asdict(numbers)) for numbers in table],
            csv=render(table, group_by=self._data.group_by),
        )


def _text(data: ReportInput) -> str | None:
    """Return the given table as CSV; None when a sample is wanted."""
    if data.rows is None:
        return data.csv
    columns = list(dict.fromkeys(name for row in data.rows for name in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(data.rows)
    return text.getvalue()


def _columns(error: NoSuchColumn) -> str:
    named = ", ".join(name[:64] for name in error.columns[:MAX_COLUMNS_NAMED]) or "none"
    return f"The table has no column '{error.name}'. Its columns: {named}."
