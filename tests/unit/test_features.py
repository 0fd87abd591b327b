"""Features have one shape, and hear of each other by announcements."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import get_type_hints

import pytest

from api.announcements import Announcements, JobFinished, MessagePosted
from api.events import Draft, TopicName
from api.feature import Base, Feature
from api.settings import Settings

API = Path(__file__).parents[2] / "api"
PACKAGES = sorted(path.parent.name for path in API.glob("*/feature.py"))
DONE = JobFinished("alice", "job_1", "report", "succeeded")


@pytest.mark.parametrize("name", [name for name in PACKAGES if name != "events"])
def test_a_feature_is_built_from_the_settings_and_the_base(name: str) -> None:
    """Or the wiring would have to know each of them."""
    hints = list(get_type_hints(import_module(f"api.{name}.feature").build).values())

    assert hints[:2] == [Settings, Base]
    assert issubclass(hints[-1], Feature)


def test_an_announcement_leads_to_the_drafts_of_all_reactions_to_its_type() -> None:
    """In the order in which they were added; other types lead to nothing."""
    announcements = Announcements()
    first, second = (Draft(TopicName(name), "seen", {}) for name in ("a", "b"))
    announcements.add(JobFinished, lambda _: [first])
    announcements.add(JobFinished, lambda done: [second] if done == DONE else [])

    assert announcements.drafts(DONE) == [first, second]
    assert announcements.drafts(MessagePosted("lobby", "alice", "1")) == []


def test_services_are_built_without_the_web_framework() -> None:
    """Workers use them, and start faster without it."""
    code = "import sys, api.services; sys.exit('litestar' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
