"""What the documents share with the rest of the project."""

from __future__ import annotations

import tomllib
from base64 import b64encode
from hashlib import sha256
from pathlib import Path
from typing import get_args

from api.docs import assets
from api.docs.openapi import VERSION
from api.docs.page import content_policy
from api.events.http.models import ByeControl, ResetView
from api.events.reasons import CloseReason, ResetReason

ROOT = Path(__file__).parents[3]


def test_the_version_is_the_package_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert project["version"] == VERSION


def test_every_reason_is_documented() -> None:
    byes = get_args(ByeControl.model_fields["reason"].annotation)
    resets = get_args(ResetView.model_fields["reason"].annotation)

    assert set(byes) == set(CloseReason) - {CloseReason.GONE, CloseReason.COMPLETE}
    assert set(resets) == set(ResetReason)


def test_only_named_files_of_the_package_are_served() -> None:
    assert assets.find_asset("swagger-ui-bundle.js", is_local=True) is not None
    for name in ("swagger-ui.js", "../__init__.py", "", "LICENSE"):
        assert assets.find_asset(name, is_local=True) is None


def test_without_the_package_the_page_says_what_to_install() -> None:
    assert "millrace[container]" in assets.MISSING
    assert "/api/openapi.json" in assets.MISSING


def test_the_page_s_policy_names_ably_and_in_local_mode_this_machine() -> None:
    deployed = content_policy("<p>", is_local=False)
    local = content_policy("<p>", is_local=True)

    assert "wss://*.ably.net" in deployed
    assert "127.0.0.1" not in deployed
    assert "ws://127.0.0.1:*" in local


def test_the_page_s_policy_allows_what_stands_inline_and_nothing_else() -> None:
    """A script from a file has no text of its own, and hides none that follows."""
    policy = content_policy("<script src=a.js></script><script>run()</script>", is_local=True)

    digest = b64encode(sha256(b"run()").digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'; style-src 'self';" in policy


def test_no_table_is_cut_in_two() -> None:
    """Rows behind a blank line have no head, and are shown as text."""
    for page in [*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]:
        lines = ["", *page.read_text().splitlines(), ""]
        for before, line, after in zip(lines, lines[1:], lines[2:], strict=False):
            is_first = line.startswith("|") and not before.startswith("|")
            assert not is_first or after.startswith(("|-", "| -", "|:")), f"{page.name}: {line}"
