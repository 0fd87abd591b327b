"""docs/operations.md is the whole list of settings."""

from __future__ import annotations

import re
from collections.abc import Iterator

from api.settings import Settings
from tests.support.local_server import ROOT

ROW = re.compile(r"^\| (`[^|]+) \|", re.MULTILINE)
NAME = re.compile(r"`(…?)([A-Z_]+)`")


def test_the_list_of_settings_names_each_and_no_other() -> None:
    """What is set and what is documented are one list."""
    settings = {
        str(field.validation_alias or f"MILLRACE_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }

    listed = [*_listed()]

    assert sorted(listed) == sorted(settings)


def _listed() -> Iterator[str]:
    """The names in the first column; `…_BURST` stands for its neighbour with that end."""
    operations = (ROOT / "docs" / "operations.md").read_text()
    section = operations.partition("\n## Settings\n")[2].partition("\n## ")[0]
    for row in ROW.findall(section):
        before = ""
        for shortened, name in NAME.findall(row):
            yield before.removesuffix("_PER_S") + name if shortened else name
            before = name
