"""serverless.yml as osls turns it into a CloudFormation template, without AWS."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.support.aws_deployment import AWS, NOWHERE, OSLS, Package, Resources
from tests.support.local_server import ROOT


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Package:
    """Package a copy of the deployment's files. Returns the template."""
    folder = tmp_path_factory.mktemp("deployment")
    shutil.copy(ROOT / "serverless.yml", folder)
    shutil.copytree(AWS, folder / "infra" / "aws", ignore=shutil.ignore_patterns("node_modules"))
    (folder / "build").mkdir()
    (folder / "build" / "lambda.zip").write_bytes(b"PK\5\6" + bytes(18))  # an empty archive

    @cache
    def run(*words: str) -> Path:
        kept = {name: text for name, text in os.environ.items() if not name.startswith("AWS_")}
        offline = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "SLS_NOTIFICATIONS_MODE": "off"}
        node = shutil.which("node")
        assert node is not None
        done = subprocess.run(
            [node, OSLS, "package", *words],
            cwd=folder,
            env=kept | offline,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        kept_as = folder / f"{len(list(folder.glob('*.json')))}.json"
        made = folder / ".serverless" / "cloudformation-template-update-stack.json"
        return Path(shutil.copy(made, kept_as))

    return run


@pytest.fixture
def resources(package: Package) -> Resources:
    """The template's resources by logical id."""
    return dict(json.loads(package("--stage", "prod").read_text())["Resources"])
