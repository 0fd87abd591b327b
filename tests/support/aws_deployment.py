"""The files that describe the deployment on AWS, and the tool that packages it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.local_server import ROOT

AWS = ROOT / "infra" / "aws"
OSLS = AWS / "node_modules" / ".bin" / "osls"
NOWHERE = "http://127.0.0.1:9"

needs_osls = pytest.mark.skipif(
    not (shutil.which("node") and OSLS.exists()), reason="Node or osls is not installed"
)

Resources = dict[str, Any]
Package = Callable[..., Path]
