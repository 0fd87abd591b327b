"""Whoever follows a link, a path or the index of the pages arrives."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.local_server import ROOT

DOCS = ROOT / "docs"
INDEX = DOCS / "README.md"
PAGES = [
    *sorted(DOCS.rglob("*.md")),
    *sorted(ROOT.glob("*.md")),
    # Folders of installed packages have pages too, which are not ours.
    *sorted(one for one in ROOT.glob("infra/**/*.md") if "node_modules" not in one.parts),
    ROOT / "tests" / "benchmarks" / "README.md",
]
# Records of decisions name what was there on their day.
OF_TODAY = [page for page in PAGES if DOCS / "adr" not in page.parents]

LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PATH = re.compile(r"`((?:api|functions|infra|tests|web)/[\w./-]*)`")
ARROWS = re.compile(r"^.* -> .*$", re.MULTILINE)
MODULE = re.compile(r"(?<![/\w])[a-z_]+(?:/[a-z_0-9]+)+\b")
FILES = re.compile(r"^\| file in `(\S+)/` \|.*\n\|.*\n((?:\|.*\n)+)", re.MULTILINE)


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors(page: Path) -> set[str]:
    """What GitHub makes of the headings."""
    titles = HEADING.findall(FENCE.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def is_there(path: str) -> bool:
    """A file or folder; a module may be named without its ending."""
    return (ROOT / path).exists() or (ROOT / f"{path}.py").exists()


def relative_links(page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link, the file that it leads to, and the heading there, if it names one."""
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if "://" not in link:
            target, _, anchor = link.partition("#")
            yield link, (page.parent / target).resolve() if target else page, anchor


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    lost = [
        link
        for link, target, anchor in relative_links(page)
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]

    assert lost == []


@pytest.mark.parametrize("page", OF_TODAY, ids=name_of)
def test_every_path_that_a_page_names_exists(page: Path) -> None:
    assert [path for path in PATH.findall(page.read_text()) if not is_there(path)] == []


def test_every_page_is_in_the_index() -> None:
    """Those for decisions are found by their folder."""
    listed = {target for _, target, _ in relative_links(INDEX)}
    pages = {*DOCS.glob("*.md"), *ROOT.glob("*.md"), DOCS / "adr"} - {INDEX}

    assert pages - listed == set()


def test_every_diagram_is_in_the_index() -> None:
    """By the heading above it."""
    drawn = set()
    for page in OF_TODAY:
        for section in re.split(r"^(?=#+ )", page.read_text(), flags=re.MULTILINE):
            if "```mermaid" in section:
                title = section.partition("\n")[0].lstrip("# ").lower()
                drawn.add((page, re.sub(r"[^\w\- ]", "", title).replace(" ", "-")))

    assert drawn
    assert drawn - {(target, anchor) for _, target, anchor in relative_links(INDEX)} == set()


def test_every_module_in_the_arrows_of_the_architecture_exists() -> None:
    text = (DOCS / "architecture.md").read_text()
    flows = [body for _, body in FENCE.findall(text) if ARROWS.search(body)]
    modules = [module for flow in flows for module in MODULE.findall(flow)]

    assert modules
    assert [one for one in modules if not is_there(one) and not is_there(f"api/{one}")] == []


def test_the_tables_of_files_name_each_file_once_and_no_other() -> None:
    """A new file needs a place in the map of the code."""
    tables = FILES.findall((DOCS / "architecture.md").read_text())

    assert tables
    for folder, rows in tables:
        named = [
            name for row in rows.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])
        ]
        held = {path.stem for path in (ROOT / folder).iterdir() if is_source(path)}
        assert sorted(named) == sorted(held - {"__init__"}), folder


def is_source(path: Path) -> bool:
    """A file of code, or a folder with some; a folder that was moved leaves bytecode behind."""
    if path.is_dir():
        return any(path.glob("*.py"))
    return path.suffix in {".py", ".sh", ""}


def test_the_layers_of_the_architecture_are_those_of_the_contract() -> None:
    """Optional layers that no module fills yet are not drawn."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = next(one["layers"] for one in contracts["contracts"] if one["id"] == "layers")
    filled = [{n for n in re.findall(r"\w+", one) if is_there(f"api/{n}")} for one in layers]
    section = (DOCS / "architecture.md").read_text().partition("## Who may import what")[2]
    _, drawn = FENCE.findall(section)[0]

    assert [set(line.split()) for line in drawn.splitlines()] == filled


def test_what_examples_import_is_there() -> None:
    """A team copies them into modules of its own."""
    shown = [
        line
        for page in OF_TODAY
        for language, body in FENCE.findall(page.read_text())
        if language == "python"
        for line in body.splitlines()
        if line.startswith("from api.")
    ]

    assert shown
    for line in shown:
        exec(line, {})
