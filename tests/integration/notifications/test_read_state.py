"""Any order of sending, looking, reading and deleting: the state is what the user did."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.integration.notifications.conftest import URL, Inbox, name_of
from tests.support.client import Client
from tests.support.instances import Instance, settings_for
from tests.support.upstash_server import UpstashServer

SCHEDULES = 60

Step = tuple[str, int]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "broadcast", "look", "look_at_own", "read", "delete", "up_to", "race", "race"]
        ),
        st.integers(min_value=0, max_value=5),
    ),
    max_size=25,
)


@dataclass
class Look:
    """A list that a client got: what it showed, and its cursor."""

    names: frozenset[str]
    seen: str


@dataclass
class Model:
    """What a user would expect. `sent` has the names in the order of sending."""

    sent: list[str] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    read: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)

    @property
    def shown(self) -> set[str]:
        return set(self.sent) - self.deleted

    @property
    def unread(self) -> set[str]:
        return self.shown - self.read


class World:
    """One instance for all examples; each example has a user and a broadcast topic of its own."""

    def __init__(self, server: UpstashServer) -> None:
        self.server = server
        self.runner = asyncio.Runner()
        self.instance = self.runner.run(self._start())

    async def _start(self) -> Instance:
        return await Instance(settings_for(self.server, publish_burst=1_000_000)).start()

    def close(self) -> None:
        self.runner.run(self.instance.stop())
        self.runner.close()


class Example:
    def __init__(self, world: World) -> None:
        world.server.flush()
        self.model = Model()
        self.inbox = Inbox(world.instance, "alice")
        self.admin = Client(world.instance)

    async def perform(self, plan: Sequence[Step]) -> None:
        async with self.inbox.http, self.admin.http:
            for kind, number in plan:
                await getattr(self, kind)(number)
            await self.check()

    async def send(self, _: int) -> None:
        await self._send(["alice"])

    async def broadcast(self, _: int) -> None:
        await self._send("all")

    async def _send(self, to: Any) -> None:
        answer = await self.admin.http.post(URL, json={"title": "t", "to": to})
        self.model.sent += [name_of(one) for one in answer.raise_for_status().json()["sent"]]

    async def look(self, number: int) -> None:
        """Of one page or of all: `seen` is the same, and so is what it marks."""
        before = frozenset(self.model.sent)
        page = await self.inbox.page(limit=number + 1)
        self.model.looks.append(Look(before, page["seen"]))

    async def read(self, number: int) -> None:
        names = self.model.sent[number::3]
        if names:
            changed = await self.inbox.read(ids=names)
            assert changed["changed"] == len(set(names) & self.model.unread)
            assert set(changed["missing"]) == set(names) & self.model.deleted
            self.model.read |= set(names) - self.model.deleted

    async def delete(self, number: int) -> None:
        if self.model.sent:
            name = self.model.sent[number % len(self.model.sent)]
            answer = await self.inbox.http.delete(f"{URL}/{name}")
            assert answer.status_code == 204
            self.model.deleted.add(name)

    async def up_to(self, number: int) -> None:
        """With any cursor that the client ever got, also an old one."""
        if self.model.looks:
            look = self.model.looks[number % len(self.model.looks)]
            await self.inbox.read(up_to=look.seen)
            self.model.read |= look.names

    async def look_at_own(self, _: int) -> None:
        """A client that has not heard of the broadcasts yet, whatever their ids."""
        page = await self.inbox.client.poll(["user:alice:notifications"])
        own = frozenset(name for name in self.model.sent if name.startswith("user:"))
        self.model.looks.append(Look(own, page.json()["cursor"]))

    async def race(self, _: int) -> None:
        """More comes while a client looks, and while it marks all that it has seen."""
        before = set(self.model.sent)
        page, *_ = await asyncio.gather(self.inbox.page(limit=100), *self._more())
        await asyncio.gather(self.inbox.read(up_to=page["seen"]), *self._more())
        self.model.read |= before | {name_of(one) for one in page["data"]}

    def _more(self) -> list[Coroutine[Any, Any, None]]:
        return [self._send(to) for to in (["alice"], "all", ["alice"], "all")]

    async def check(self) -> None:
        listed = await self.inbox.all(limit=3)
        unread = {name_of(one) for one in await self.inbox.all(limit=2, unread="true")}

        assert {name_of(one) for one in listed} == self.model.shown
        assert len(listed) == len(self.model.shown)
        assert {name_of(one) for one in listed if not one["read"]} == self.model.unread
        assert unread == self.model.unread
        assert await self.inbox.unread() == len(self.model.unread)


@pytest.fixture(scope="module")
def world(upstash_server: UpstashServer) -> Iterator[World]:
    upstash_server.reset()
    world = World(upstash_server)
    yield world
    world.close()


def test_whatever_happens_what_was_not_seen_is_not_read(world: World) -> None:
    """And what was read or deleted stays so; list, filter and count agree."""

    @settings(
        max_examples=SCHEDULES,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        print_blob=True,
    )
    @given(steps)
    def the_state_is_what_the_user_did(plan: Sequence[Step]) -> None:
        world.runner.run(Example(world).perform(plan))

    the_state_is_what_the_user_did()
