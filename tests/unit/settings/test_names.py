"""A variable that starts with `MILLRACE_` and that nobody reads is a typing error."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from api.settings import Settings, SettingsError
from api.settings.environment import OTHERS
from tests.unit.settings.conftest import Read

ROOT = Path(__file__).resolve().parents[3]
NAME = re.compile(r"\bMILLRACE_[A-Z0-9_]*[A-Z0-9]\b")
READERS = ("api", "functions", "infra", "docs", "README.md", "Makefile", "serverless.yml", ".ci")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("MILLRACE_STREM_MAX_S", "the nearest one is MILLRACE_STREAM_MAX_S"),
        ("millrace_ably_uri", "the nearest one is MILLRACE_ABLY_URL"),
        ("MILLRACE_UPSTASH_PORTS", "the nearest one is MILLRACE_UPSTASH_PORT"),
        ("MILLRACE_ZZZZ", "remove it"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest_known_one(
    name: str, hint: str, read: Read
) -> None:
    """One line; the value is not shown."""
    with pytest.raises(SettingsError) as caught:
        read(**{name: "0451"})

    [complaint] = caught.value.complaints
    assert complaint.startswith(f"{name}: there is no such setting")
    assert hint in complaint
    assert "0451" not in complaint


def test_everything_that_is_wrong_is_said_at_once(read: Read) -> None:
    """Unknown names and bad values; nobody starts as often as there are mistakes."""
    with pytest.raises(SettingsError) as caught:
        read(MILLRACE_STREM_MAX_S="100", MILLRACE_PORT="x")

    assert [line.partition(":")[0] for line in caught.value.complaints] == [
        "MILLRACE_PORT",
        "MILLRACE_STREM_MAX_S",
    ]


@pytest.mark.parametrize("name", sorted(OTHERS))
def test_names_that_other_parts_read_are_known(name: str, read: Read) -> None:
    """The shell of whoever runs the command line and the tests has them set."""
    read(**{name: "1"})


def test_an_unknown_name_with_a_blank_value_sets_nothing(read: Read) -> None:
    """A blank setting is as good as none."""
    read(MILLRACE_STREM_MAX_S=" ")


def test_what_kubernetes_says_of_a_service_of_our_name_is_no_setting(read: Read) -> None:
    """It puts these into every container of the namespace."""
    read(
        MILLRACE_SERVICE_HOST="10.0.0.1",
        MILLRACE_SERVICE_PORT="80",
        MILLRACE_SERVICE_PORT_HTTP="80",
        MILLRACE_PORT_80_TCP="tcp://10.0.0.1:80",
        MILLRACE_PORT_80_TCP_ADDR="10.0.0.1",
        MILLRACE_API_SERVICE_HOST="10.0.0.2",
    )


def test_every_name_that_is_written_anywhere_is_known() -> None:
    """A new variable of the stack, the command line or the tests is added to the one list."""
    known = OTHERS.union(Settings.names())
    written = set()
    for reader in READERS:
        path = ROOT / reader
        for file in path.rglob("*") if path.is_dir() else [path]:
            if file.is_file() and "__pycache__" not in file.parts and file.suffix != ".zip":
                written |= set(NAME.findall(file.read_text(errors="ignore")))

    assert written - known == set()
