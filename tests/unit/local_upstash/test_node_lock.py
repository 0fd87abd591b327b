"""The JavaScript dependencies of the tests are pinned without naming a registry."""

from __future__ import annotations

import json

from tests.support.local_server import ROOT

NODE = ROOT / "tests" / "e2e" / "node"


def test_the_lock_file_holds_digests_but_no_download_addresses() -> None:
    """An installation asks the registry of its own configuration."""
    lock = json.loads((NODE / "package-lock.json").read_text())
    packages = [entry for path, entry in lock["packages"].items() if path]

    assert packages
    assert all("integrity" in entry and "resolved" not in entry for entry in packages)


def test_the_clients_under_test_are_pinned_exactly() -> None:
    """A new release of a vendor's client comes only with a commit."""
    manifest = json.loads((NODE / "package.json").read_text())

    assert all(version[0].isdigit() for version in manifest["devDependencies"].values())
