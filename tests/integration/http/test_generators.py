"""The generators that teams make clients with understand the whole OpenAPI document."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.http.conftest import Api

NODE = Path(__file__).parents[2] / "e2e/node/node_modules/.bin"
NEEDS_NODE = pytest.mark.skipif(
    not (NODE / "openapi-typescript").exists() or not shutil.which("node"),
    reason="run: npm ci --prefix tests/e2e/node",
)
PYTHON_CLIENT = Path(sys.executable).with_name("openapi-python-client")


@pytest.fixture
async def document(local_api: Api, tmp_path: Path) -> Path:
    path = tmp_path / "openapi.json"
    path.write_text((await local_api.client.get("/api/openapi.json")).text)
    return path


def run(*command: object) -> str:
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


async def test_every_half_of_a_problem_s_schema_has_the_same_types(document: Path) -> None:
    """Generators join the halves of an `allOf`, and drop an answer whose types differ."""
    paths = json.loads(document.read_text())["paths"]
    halves = [
        content["schema"]["allOf"][1]["properties"]
        for path in paths.values()
        for operation in path.values()
        for answer in operation["responses"].values()
        for name, content in answer.get("content", {}).items()
        if name == "application/problem+json"
    ]

    assert len(halves) > 100
    assert {half["status"]["type"] for half in halves} == {"integer"}
    assert {half["code"]["type"] for half in halves} == {"string"}


@pytest.mark.skipif(not PYTHON_CLIENT.is_file(), reason="run: make install")
async def test_openapi_python_client_drops_nothing(document: Path, tmp_path: Path) -> None:
    config = tmp_path / "config.json"
    config.write_text('{"post_hooks": []}')

    said = run(
        *(PYTHON_CLIENT, "generate", "--path", document, "--config", config),
        *("--output-path", tmp_path / "client", "--meta", "none"),
    )

    assert "Warning" not in said, said


@NEEDS_NODE
async def test_openapi_typescript_understands_the_document(document: Path, tmp_path: Path) -> None:
    """Pages get their types from it."""
    run(NODE / "openapi-typescript", document, "--output", tmp_path / "api.d.ts")

    assert '"validation-failed"' in (tmp_path / "api.d.ts").read_text()


@NEEDS_NODE
async def test_a_linter_finds_nothing_in_the_document(document: Path) -> None:
    """It looks for what is legal and yet stops tools: names that clash, answers not described."""
    assert run("node", NODE.parents[1] / "lint-openapi.mjs", document) == ""
