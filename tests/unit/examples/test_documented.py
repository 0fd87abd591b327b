"""What the documents send to the example jobs is what these take."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.examples import EXAMPLES

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
HANDLERS = {example.name: example for example in EXAMPLES}


def requests(text: str) -> Iterator[tuple[str, Any]]:
    """Type and input of every JSON object in `text` that asks for an example job."""
    for found in re.finditer(r'\{"type": ?"(\w+)"', text):
        if found[1] in HANDLERS:
            body, _ = json.JSONDecoder().raw_decode(text, found.start())
            yield found[1], body.get("input", {})


def rows(text: str) -> Iterator[tuple[str, Any]]:
    """The same for a table of types and inputs; an empty type is that of the row above."""
    name = ""
    for row in re.finditer(r"^\| (?:`([a-z]+)` )?\| `(\{.*?\})` \|", text, re.MULTILINE):
        name = row[1] or name
        if name in HANDLERS:
            yield name, json.loads(row[2])


SHOWN = [
    pytest.param(name, data, id=f"{page.stem}-{name}-{number}")
    for page in PAGES
    for number, (name, data) in enumerate([*requests(page.read_text()), *rows(page.read_text())])
]


@pytest.mark.parametrize(("name", "data"), SHOWN)
def test_a_job_that_the_documents_show_is_taken(name: str, data: Any) -> None:
    """By the very model that refuses all else with 422."""
    HANDLERS[name].input.model_validate(data)


def test_the_documents_show_a_request_and_every_type() -> None:
    """Or the test above would pass by finding nothing."""
    assert {param.values[0] for param in SHOWN} == set(HANDLERS)
    assert any("wire-protocol" in str(param.id) for param in SHOWN)
