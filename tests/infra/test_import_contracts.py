"""The import contracts hold, and each of them would notice."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "functions", "infra")
LINT = "from importlinter.cli import lint_imports_command as run; run()"

# contract, file that gets the import, what it imports
FORBIDDEN = [
    ("layers", "api/settings.py", "api.problems"),
    ("layers", "api/upstash.py", "api.security.tokens"),
    ("layers", "api/telemetry/metrics.py", "api.upstash"),
    ("layers", "api/security/tokens.py", "api.events.topic"),
    ("layers", "api/events/live/hub.py", "api.services"),
    ("layers", "api/events/live/hub.py", "api.jobs.callers.service"),
    ("events-face", "api/jobs/callers/service.py", "api.events.publisher"),
    ("events-rooms", "api/events/log/page.py", "api.events.live.hub"),
    ("layers", "api/jobs/callers/service.py", "api.notifications.service"),
    ("layers", "api/jobs/callers/service.py", "api.app"),
    ("layers", "api/extensions.py", "api.services"),
    ("layers", "api/services.py", "api.examples"),
    ("jobs-face", "api/app.py", "api.jobs.callers.service"),
    ("jobs-face", "functions/worker.py", "api.jobs.work.worker"),
    ("jobs-rooms", "api/jobs/model/job.py", "api.jobs.store.layout"),
    ("jobs-rooms", "api/jobs/work/runner.py", "api.jobs.http.answers"),
    ("chat-rooms", "api/chat/rooms/store.py", "api.chat.tokens.issuer"),
    ("anywhere", "api/events/stream/deadline.py", "functions.container"),
    ("anywhere", "api/upstash.py", "infra.local.state"),
    ("anywhere", "api/app.py", "mangum"),
    ("framework", "api/events/live/hub.py", "litestar"),
    ("framework", "api/jobs/callers/service.py", "litestar.exceptions"),
    ("layers", "api/app.py", "api.cli.client"),
    ("terminal", "api/app.py", "rich_click"),
    ("terminal", "functions/container.py", "click"),
    ("redis", "api/events/log/topic_log.py", "upstash_redis.asyncio"),
    ("redis", "functions/container.py", "upstash_redis"),
    ("ably", "api/events/live/hub.py", "ably"),
    ("local-servers", "infra/local/stack.py", "api.settings"),
    ("local-servers", "infra/local/upstash/app.py", "functions.container"),
    ("local-servers", "infra/local/upstash/app.py", "upstash_redis"),
    ("functions", "functions/container.py", "infra.local.state"),
    ("runtime", "functions/runtime/loop.py", "api.settings"),
    ("runtime", "functions/runtime/exchange.py", "litestar"),
    ("runtime", "functions/runtime/snapshot.py", "functions.stream"),
]
ALLOWED = [
    ("layers", "api/jobs/callers/service.py", "api.events.publisher"),
    ("framework", "api/jobs/http/routes.py", "litestar"),
    ("ably", "api/chat/tokens/issuer.py", "ably"),
]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the code, with two features that may not exist yet."""
    for package in PACKAGES:
        ignore = shutil.ignore_patterns("__pycache__", "node_modules")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    for path in ("jobs/service.py", "notifications/service.py", "chat/tokens/issuer.py"):
        file = tmp_path / "api" / path
        file.parent.mkdir(exist_ok=True)
        (file.parent / "__init__.py").touch()
        file.touch()
    return tmp_path


def lint(tree: Path, contract: str | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", LINT, "--no-cache"]
    chosen = ["--contract", contract] if contract else []
    return subprocess.run(
        [*command, *chosen], cwd=tree, capture_output=True, text=True, check=False
    )


def plant(tree: Path, path: str, imported: str) -> None:
    file = tree / path
    file.write_text((file.read_text() if file.exists() else "") + f"\nimport {imported}\n")


def test_the_code_keeps_every_contract() -> None:
    """What `make check` sees."""
    answer = lint(ROOT)

    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize(("contract", "path", "imported"), FORBIDDEN)
def test_a_forbidden_import_breaks_its_contract(
    contract: str, path: str, imported: str, tree: Path
) -> None:
    """A forbidden import breaks its contract."""
    plant(tree, path, imported)

    answer = lint(tree, contract)

    assert answer.returncode == 1, answer.stdout
    assert "1 broken" in answer.stdout


@pytest.mark.parametrize(("contract", "path", "imported"), ALLOWED)
def test_what_the_design_allows_breaks_nothing(
    contract: str, path: str, imported: str, tree: Path
) -> None:
    """An allowed import breaks none."""
    plant(tree, path, imported)

    answer = lint(tree, contract)

    assert answer.returncode == 0, answer.stdout


def test_a_package_without_a_place_in_the_layers_is_noticed(tree: Path) -> None:
    """Without a place it could import all packages, and be imported by all."""
    (tree / "api" / "sundries.py").write_text("")

    assert lint(tree, "layers").returncode == 1


def test_every_contract_has_a_planted_import_here() -> None:
    """Each contract is broken by one of the tests."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]

    contracts = {contract["id"] for contract in tools["importlinter"]["contracts"]}

    assert contracts == {contract for contract, _, _ in FORBIDDEN}
