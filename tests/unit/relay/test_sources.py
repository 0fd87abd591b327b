"""Sources are checked at the start, and no complaint and no repr shows a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.settings import Settings, SettingsError

SECRET = "header-secret-0451"
GOOD = {"url": "https://feed.example/a?key=0451", "headers": {"Authorization": SECRET}}


def read(monkeypatch: pytest.MonkeyPatch, sources: Any, env: str = "production") -> Settings:
    text = sources if isinstance(sources, str) else json.dumps(sources)
    values = {
        "UPSTASH_REDIS_REST_URL": "https://db.example",
        "UPSTASH_REDIS_REST_TOKEN": "t",
        "MILLRACE_SECRET": "7d1c0f8e6b4f1c9a7be2d84c6f9b3e5a",
        "MILLRACE_ENV": env,
        "MILLRACE_RELAY_SOURCES": text,
    }
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return Settings.read()


def test_a_source_is_read_and_hidden(monkeypatch: pytest.MonkeyPatch):
    """Its URL too: keys are often part of it."""
    settings = read(monkeypatch, {"prices": GOOD})
    source = settings.relay_sources["prices"]

    assert source.url.get_secret_value() == GOOD["url"]
    assert source.headers["Authorization"].get_secret_value() == SECRET
    assert "0451" not in repr(settings)


def test_no_source_is_the_default(monkeypatch: pytest.MonkeyPatch):
    """An empty variable is as good as none."""
    assert read(monkeypatch, "").relay_sources == {}


@pytest.mark.parametrize(
    "sources",
    [
        "not json 0451",
        "[]",
        "[" * 100_000,
        {"a:b": GOOD},
        {"": GOOD},
        {"prices\n": GOOD},
        {"prices": {}},
        {"prices": GOOD | {"unknown": 1}},
        {"prices": GOOD | {"url": "ftp://feed.example/0451"}},
        {"prices": GOOD | {"url": "https:///0451"}},
        {"prices": GOOD | {"url": "https://user:0451@feed.example/"}},
        {"prices": GOOD | {"url": "https://feed.example:0451x/"}},
        {"prices": GOOD | {"url": "https://[0451/"}},
        {"prices": GOOD | {"url": "https://feed.example/#0451"}},
        {"prices": GOOD | {"url": "http://feed.example/0451"}},
        {"prices": GOOD | {"headers": {"X-Key": "0451\r\nX: y"}}},
        {"prices": GOOD | {"headers": {"X Key": "0451"}}},
        {"prices": GOOD | {"headers": {"hOsT": "0451"}}},
        {"prices": GOOD | {"silence_s": 0}},
    ],
)
def test_a_bad_source_stops_the_start_without_showing_it(
    monkeypatch: pytest.MonkeyPatch, sources: Any
):
    """The complaint names the setting."""
    with pytest.raises(SettingsError) as caught:
        read(monkeypatch, sources)

    assert "MILLRACE_RELAY_SOURCES" in str(caught.value)
    assert "0451" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_local_mode_takes_plain_http(monkeypatch: pytest.MonkeyPatch):
    """There is nothing between."""
    sources = {"prices": {"url": "http://127.0.0.1:9000/"}}

    assert read(monkeypatch, sources, env="local").relay_sources
