"""The backlog of webhooks, without an endpoint."""

from __future__ import annotations

import pytest

from infra.local.ably.channel.channel import Channels, Watchers
from infra.local.ably.clock import Clock
from infra.local.ably.keys_and_tokens.keys import Key
from infra.local.ably.webhooks import KEPT_MS, Backlog

KEY = Key("app.key", "secret")


class Site:
    """The channels of one app, and a backlog that notes all their events."""

    def __init__(self, app_id: str = "app") -> None:
        self.clock = Clock(lambda: 1_700_000_000)
        self.woken = 0
        self.backlog = Backlog(KEY, self.clock, self._wake)
        self.backlog.is_wanted = True
        watchers = Watchers([self.backlog.published], [self.backlog.lifecycle])
        self.channels = Channels(app_id, self.clock, watchers)

    def publish(self, name: str) -> None:
        self.channels.get("a").publish([{"name": name}], prefix=f"id-{name}")

    def names(self) -> list[str]:
        return [item.body["data"]["messages"][0]["name"] for item in self.backlog.batch()]

    def _wake(self) -> None:
        self.woken += 1


@pytest.fixture
def site() -> Site:
    return Site()


def test_events_wait_in_order_until_they_are_done(site: Site) -> None:
    site.publish("1")
    site.publish("2")
    batch = site.backlog.batch()
    site.publish("3")

    site.backlog.done(batch)

    assert site.names() == ["3"]
    assert site.woken == 3


def test_events_are_kept_for_five_minutes(site: Site) -> None:
    """Events that became too old on their way do not remove later ones."""
    site.publish("1")
    batch = site.backlog.batch()
    site.clock.offset_ms = KEPT_MS
    site.publish("2")
    site.clock.offset_ms = KEPT_MS + 1

    assert site.names() == ["2"]
    site.backlog.done(batch)
    assert site.names() == ["2"]


def test_repeats_come_before_what_is_new_and_newest_first(site: Site) -> None:
    for name in ("1", "2"):
        site.publish(name)
        site.backlog.done(site.backlog.batch())
    site.publish("3")

    assert site.backlog.repeat(1) == 2
    seen = []
    while batch := site.backlog.batch():
        seen += site.names()
        site.backlog.done(batch)
    assert seen == ["2", "1", "3"]


def test_nothing_is_noted_without_an_endpoint_or_for_another_app() -> None:
    """Without an endpoint the backlog would only grow."""
    other, unwanted = Site("other"), Site()
    unwanted.backlog.is_wanted = False

    other.publish("1")
    unwanted.publish("1")

    assert other.backlog.waiting == unwanted.backlog.waiting == 0
