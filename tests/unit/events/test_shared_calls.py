"""One call for all who ask at the same time."""

import asyncio
from collections.abc import Set as AbstractSet

import pytest

from api.events.live.shared_calls import SharedCalls


class Asked:
    """Knows every key but `none`; fails for `bad`. `calls` are the keys of each call."""

    def __init__(self) -> None:
        self.calls: list[set[str]] = []

    async def __call__(self, keys: AbstractSet[str]) -> dict[str, str]:
        self.calls.append(set(keys))
        await asyncio.sleep(0)
        if "bad" in keys:
            raise ValueError("bad")
        return {key: key.upper() for key in keys if key != "none"}


async def test_those_who_come_during_a_call_share_the_next_one():
    """Each gets the answers for its own keys; one without an answer is left out."""
    asked = Asked()
    shared = SharedCalls(asked)
    answers = await asyncio.gather(shared({"a"}), shared({"b", "none"}), shared({"b", "c"}))

    assert list(answers) == [{"a": "A"}, {"b": "B"}, {"b": "B", "c": "C"}]
    assert asked.calls == [{"a"}, {"b", "c", "none"}]


async def test_a_call_that_failed_is_an_error_of_the_key_that_it_failed_for_alone():
    """The other callers ask again without that key."""
    asked = Asked()
    shared = SharedCalls(asked)
    results = await asyncio.gather(
        shared({"a"}), shared({"bad"}), shared({"b"}), shared({"c"}), return_exceptions=True
    )

    assert isinstance(results[1], ValueError)
    assert [results[0], *results[2:]] == [{"a": "A"}, {"b": "B"}, {"c": "C"}]


async def test_what_was_answered_is_not_remembered():
    """A later caller gets what is true then."""
    asked = Asked()
    shared = SharedCalls(asked)
    await shared({"a"})
    await shared({"a"})

    assert asked.calls == [{"a"}, {"a"}]
    with pytest.raises(ValueError, match="bad"):
        await shared({"bad"})
