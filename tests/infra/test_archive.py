"""The archive for Lambda: all that the handlers need, and little else."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from infra.aws.package import Target, archive, build
from tests.support.aws_deployment import NOWHERE, Resources, needs_osls
from tests.support.instances import SECRET
from tests.support.programs import run_alone

MB = 1_000_000


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive's files, built for the interpreter and processor of the tests."""
    folder = tmp_path_factory.mktemp("package") / "tree"
    target = Target(f"{sys.version_info.major}.{sys.version_info.minor}", platform.machine())
    assert build(target, folder) == 0
    return folder


@needs_osls
def test_every_handler_is_in_the_package_and_imports_there(
    resources: Resources, tree: Path
) -> None:
    """The archive alone is enough: no module that is needed was removed."""
    handlers = [
        one["Properties"]["Handler"]
        for one in resources.values()
        if one["Type"] == "AWS::Lambda::Function"
    ]
    settings = {
        "UPSTASH_REDIS_REST_URL": NOWHERE,
        "UPSTASH_REDIS_REST_TOKEN": "none",
        "MILLRACE_SECRET": SECRET.replace("local", "other"),
        "MILLRACE_JOBS_QUEUE_URL": f"{NOWHERE}/0/jobs",
    }

    for handler in handlers:
        module, _, name = handler.rpartition(".")
        program = f"import sys; sys.path[:0] = ['.']; import {module}; {module}.{name}"
        done = run_alone(program, tree, settings)
        assert done.returncode == 0, f"{handler}: {done.stderr}"


def test_what_is_loaded_lazily_is_in_the_package_too(tree: Path) -> None:
    """The chat's SDK and the parts that verify tokens of an identity provider are there."""
    program = (
        "import sys; sys.path[:0] = ['.']; import ably, jwt; jwt.get_algorithm_by_name('RS256')"
    )
    done = run_alone(program, tree)

    assert done.returncode == 0, done.stderr


def test_the_archive_for_lambda_has_at_most_12_mb_with_its_bytecode(tmp_path: Path) -> None:
    """Each cold start fetches and unpacks it."""
    assert build(Target("3.13", "aarch64"), tmp_path / "tree") == 0
    archive(tmp_path / "tree", tmp_path / "lambda.zip")

    assert (tmp_path / "lambda.zip").stat().st_size <= 12 * MB
