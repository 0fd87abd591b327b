"""One instance with chat, and people in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from tests.support.chat import Person, chat_settings
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer

People = Callable[..., Person]


@pytest.fixture
async def instance(upstash: UpstashServer) -> AsyncIterator[Instance]:
    async with running(chat_settings(upstash)) as one:
        yield one


@pytest.fixture
def person(instance: Instance) -> People:
    return lambda name, *roles: Person(instance, name, *roles)


@pytest.fixture
def alice(person: People) -> Person:
    return person("alice")


@pytest.fixture
def bob(person: People) -> Person:
    return person("bob")


@pytest.fixture
def carol(person: People) -> Person:
    return person("carol")


@pytest.fixture
def admin(person: People) -> Person:
    return person("root", "admin")
