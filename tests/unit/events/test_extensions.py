"""A team's own modules: loaded in order, and a fault in one stops the start."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from api.events.catalogue import Catalogue
from api.extensions import Extensions, load
from api.jobs import JobContext, job
from api.security.grants import Access
from api.settings import SettingsError
from tests.unit.security.support import principal

Module = Callable[..., str]


class Moved(BaseModel):
    to: str


@pytest.fixture
def module() -> Iterator[Module]:
    """Makes modules that can be imported by name."""
    made: list[str] = []

    def make(**names: Any) -> str:
        name = f"millrace_test_extension_{len(made)}"
        sys.modules[name] = one = ModuleType(name)
        vars(one).update(names)
        made.append(name)
        return name

    yield make
    for name in made:
        del sys.modules[name]


@pytest.fixture
def extensions() -> Extensions:
    return Extensions(Catalogue(), Access())


def test_an_extension_declares_event_types(module: Module, extensions: Extensions):
    """In the way that the documentation shows."""

    def extend(millrace: Extensions) -> None:
        millrace.event("moved", Moved, topics=["public:board"], summary="A card moved.")

    load([module(extend=extend)], extensions)

    (declared,) = extensions.catalogue
    assert (declared.name, declared.summary) == ("moved", "A card moved.")
    assert extensions.catalogue.checked("public:board", "moved", {"to": "x"}) == {"to": "x"}


async def test_an_extension_grants_topics(module: Module, extensions: Extensions):
    """Its rule is asked for topics that match its pattern."""

    class Everyone:
        async def allows(self, *_: object) -> bool:
            return True

    load([module(extend=lambda one: one.rule("board:*", Everyone()))], extensions)

    assert await extensions.access.can_read(principal(), "board:1")
    assert not await extensions.access.can_read(principal(), "streaming:1")


def test_an_extension_brings_job_handlers(module: Module, extensions: Extensions):
    """Jobs of that type are accepted from then on."""

    @job("move", input=Moved, result=Moved)
    async def move(_: JobContext, data: Moved) -> Moved:
        return data

    load([module(extend=lambda millrace: millrace.job(move))], extensions)

    assert extensions.jobs.check("move", {"to": "x"}).input_json == '{"to":"x"}'


def test_extensions_are_loaded_in_the_order_given(module: Module, extensions: Extensions):
    """A later one may build on an earlier one."""
    order: list[int] = []
    names = [module(extend=lambda _, n=n: order.append(n)) for n in range(3)]

    load(names, extensions)

    assert order == [0, 1, 2]


def test_a_missing_extension_stops_the_start(extensions: Extensions):
    """A typing error must not leave topics without their rules."""
    with pytest.raises(SettingsError) as caught:
        load(["millrace_test_no_such_module"], extensions)

    [complaint] = caught.value.complaints
    assert complaint.startswith("MILLRACE_EXTENSIONS: millrace_test_no_such_module cannot be")
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)


def test_an_extension_that_is_relative_to_nothing_stops_the_start(extensions: Extensions):
    """Python's own error for it speaks of an argument `package`, which helps nobody."""
    with pytest.raises(SettingsError, match=r"EXTENSIONS: \.shop is relative to no package"):
        load([".shop"], extensions)


def test_a_module_that_does_not_extend_stops_the_start(module: Module, extensions: Extensions):
    """The error names the module and what is missing in it."""
    name = module()

    with pytest.raises(SettingsError, match=f"EXTENSIONS: {name} has no function `extend`"):
        load([name], extensions)


def test_what_an_extension_raises_stops_the_start(module: Module, extensions: Extensions):
    """No error of an extension is hidden."""

    def extend(_: Extensions) -> None:
        raise RuntimeError("not today")

    with pytest.raises(RuntimeError, match="not today"):
        load([module(extend=extend)], extensions)
