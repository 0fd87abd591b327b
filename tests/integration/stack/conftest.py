from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.stack.running import RunningStack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """A stack for tests that leave it running."""
    running = RunningStack(tmp_path_factory.mktemp("stack")).ready()
    yield running
    assert running.stop() == 0, running.complaints


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RunningStack]]:
    """Starts stacks in the test's own folder, and leaves nothing of them behind."""
    started: list[RunningStack] = []

    def start_one(*options: str, **settings: str) -> RunningStack:
        started.append(RunningStack(tmp_path, *options, **settings))
        return started[-1]

    yield start_one
    for running in started:
        running.end()


@pytest.fixture(autouse=True)
def _make() -> None:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
