"""Generates a CSV file of sales: always the same for one seed, with some broken lines."""

import csv
import random
from pathlib import Path
from typing import Final

from api.examples.chunks import ROWS, Pieces

COLUMNS: Final = ("day", "region", "product", "amount")
REGIONS: Final = ("north", "east", "south", "west")
PRODUCTS: Final = ("wheel", "flume", "stone", "sluice", "hopper")
BROKEN_ONE_IN: Final = 500


def write_sample(path: Path, *, rows: int, seed: str) -> Pieces:
    """Write the file to `path`, piece by piece; yield the number of rows written so far.

    `rows` is how many rows it gets below the header. One `seed` always gives the same rows.
    """
    rng = random.Random(seed)  # noqa: S311  # a sample, not a secret
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for row in range(1, rows + 1):
            writer.writerow(_row(rng))
            if row % ROWS == 0 or row == rows:
                yield row


def _row(rng: random.Random) -> list[str]:
    day = f"2026-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"
    # Drawn for every row, so that a broken one changes nothing after it.
    kind, amount = rng.randrange(BROKEN_ONE_IN), f"{rng.lognormvariate(4, 1):.2f}"
    row = [day, rng.choice(REGIONS), rng.choice(PRODUCTS), amount]
    if kind == 0:
        return row[:-1]
    return [*row[:-1], "n/a"] if kind == 1 else row
