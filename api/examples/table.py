"""Reads a table from CSV, computes statistics of each group, and writes them as CSV."""

import csv
import io
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, fields
from typing import Final

from api.examples.chunks import ROWS, Pieces

MAX_GROUPS: Final = 1_000
MAX_NAMED: Final = 20
# A larger number is no value, so that no sum overflows.
LARGEST: Final = 1e300


class NoSuchColumn(Exception):
    """Raised when the table has no column of this `name`. `columns` are those that it has."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        super().__init__(name)
        self.name = name
        self.columns = tuple(columns)


class TooManyGroups(Exception):
    """Raised when the column to group by has more than `MAX_GROUPS` different values."""


@dataclass(slots=True)
class Values:
    """What was read of a table: the numbers by group, and which lines were bad.

    `rows` counts all rows that were read, bad ones included. `first_bad_lines` has the numbers of
    up to `MAX_NAMED` of them.
    """

    by_group: "dict[str, array[float]]" = field(default_factory=dict)
    rows: int = 0
    bad_lines: int = 0
    first_bad_lines: list[int] = field(default_factory=list)

    def take(self, group: str, value: float) -> None:
        """Add a number to its group. Raises `TooManyGroups`."""
        if group not in self.by_group:
            if len(self.by_group) == MAX_GROUPS:
                raise TooManyGroups
            self.by_group[group] = array("d")
        self.by_group[group].append(value)

    def refuse(self, line: int) -> None:
        """Count a bad line; `line` is its number, counted from 1 with the header."""
        self.bad_lines += 1
        if len(self.first_bad_lines) < MAX_NAMED:
            self.first_bad_lines.append(line)


@dataclass(frozen=True, slots=True)
class Numbers:
    """Statistics of one group: count, sum, mean, smallest and largest value."""

    group: str
    count: int
    sum: float
    mean: float
    min: float
    max: float

    @classmethod
    def of(cls, group: str, values: Sequence[float]) -> "Numbers":
        """Compute the statistics of a group, which has one value at least. The sum is exact."""
        total = math.fsum(values)
        return cls(group, len(values), total, total / len(values), min(values), max(values))


def parse(lines: Iterable[str], values: Values, *, group_by: str, value: str) -> Pieces:
    """Read CSV with a header into `values`, row by row; yield the number of rows read so far.

    `group_by` and `value` name the columns. A line is bad when it has too few or too many fields,
    no group, or no number. Raises `NoSuchColumn` and `TooManyGroups`.
    """
    reader = csv.reader(lines)
    rows = _rows(reader)
    header = [name.strip() for name in next(rows, None) or ()]
    group_at, value_at = _index(header, group_by), _index(header, value)
    for row in rows:
        values.rows += 1
        number = _number(row[value_at]) if len(row) == len(header) else None
        if number is None or not row[group_at].strip():
            values.refuse(reader.line_num)
        else:
            values.take(row[group_at].strip(), number)
        if values.rows % ROWS == 0:
            yield values.rows
    yield values.rows


def aggregate(values: Values, into: list[Numbers]) -> Pieces:
    """Add the statistics of each group to `into`, by name; yield how many values are done."""
    done = 0
    for group in sorted(values.by_group):
        numbers = Numbers.of(group, values.by_group[group])
        into.append(numbers)
        done += numbers.count
        yield done


def render(table: Sequence[Numbers], *, group_by: str) -> str:
    """Return the statistics as CSV with a header, whose first column is `group_by`."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([group_by, *(one.name for one in fields(Numbers)[1:])])
    writer.writerows(astuple(one) for one in table)
    return text.getvalue()


def _rows(reader: Iterator[list[str]]) -> Iterator[list[str]]:
    """Yield the rows that are not empty; one that breaks the format is yielded without fields."""
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except csv.Error:  # such as a field beyond the module's limit
            yield []
            continue
        if row:
            yield row


def _index(header: Sequence[str], name: str) -> int:
    if name not in header:
        raise NoSuchColumn(name, header)
    return header.index(name)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None  # NaN is never below it
