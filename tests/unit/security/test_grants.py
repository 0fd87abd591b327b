"""Who may read and publish what."""

from __future__ import annotations

import asyncio

import pytest

from api.problems import Forbidden, StoreUnavailable
from api.security import grants
from api.security.grants import Access, Action
from api.security.patterns import InvalidPattern
from api.security.principal import Principal
from tests.support.foreign_errors import ends
from tests.unit.security.support import principal


class Rule:
    """Answers what it was told to and remembers what it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[tuple[str, Action, str]] = []

    async def allows(self, who: Principal, action: Action, topic: str) -> bool:
        self.asked.append((who.id, action, topic))
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer  # type: ignore[return-value]  # lies on purpose


class Hanging:
    async def allows(self, who: Principal, action: Action, topic: str) -> bool:
        await asyncio.Event().wait()
        return True


async def test_nothing_is_granted_by_default():
    """A topic that nobody grants is neither read nor written."""
    access = Access()

    assert not await access.can_read(principal(), "job:1")
    assert not await access.can_publish(principal(), "job:1")


@pytest.mark.parametrize("topic", ["user:alice:inbox", "user:alice:a:b", "public:activity"])
async def test_signed_in_users_read_their_own_and_public_topics_only(topic: str):
    """Reading is granted to everybody there, publishing is not."""
    access = Access()

    assert await access.can_read(principal(), topic)
    assert not await access.can_publish(principal(), topic)


@pytest.mark.parametrize(
    "topic", ["user:bob:inbox", "user:alice", "public", "user", "users:alice:a"]
)
async def test_others_topics_are_not_read(topic: str):
    """Neither another user's topics nor the bare prefixes are covered."""
    assert not await Access().can_read(principal(), topic)


@pytest.mark.parametrize("forged", ["*", "a:b", "**", ""])
def test_a_principal_with_a_forged_id_cannot_exist(forged: str):
    """Whoever builds it, an id never turns into the pattern of another user's topics."""
    with pytest.raises(ValueError, match="segment"):
        principal(forged)


async def test_admins_read_and_publish_everything_that_is_a_topic():
    """The role opens all topics, but not texts that are none."""
    admin = principal(roles=["admin"])

    assert await Access().can_read(admin, "job:1")
    assert await Access().can_publish(admin, "anything:at:all")
    assert not await Access().can_read(admin, "job:*")
    assert not await Access().can_publish(admin, "job:1\n")


async def test_grants_of_the_token_add_to_each_action_alone():
    """A read grant does not publish and a publish grant does not read."""
    who = principal(read=["job:*"], publish=["room:**"])

    assert await Access().can_read(who, "job:1")
    assert not await Access().can_publish(who, "job:1")
    assert await Access().can_publish(who, "room:a:b")
    assert not await Access().can_read(who, "room:a:b")


async def test_a_ticket_reads_its_topics_and_no_others():
    """The ticket narrows what its user may read; it cannot widen it."""
    who = principal(ticket_topics=["public:a", "job:1"])

    assert await Access().can_read(who, "public:a")
    assert not await Access().can_read(who, "public:b")
    assert not await Access().can_read(who, "job:1")


async def test_a_ticket_never_publishes():
    """Not even an admin's ticket writes."""
    who = principal(roles=["admin"], ticket_topics=["public:a"])

    assert not await Access().can_publish(who, "public:a")


async def test_a_rule_grants_topics_of_its_pattern():
    """The rule is asked with who, what and where."""
    access, rule = Access(), Rule(True)
    access.add_rule("job:*", rule)

    assert await access.can_read(principal(), "job:1")
    assert await access.can_publish(principal(), "job:1")
    assert not await access.can_read(principal(), "room:1")
    assert rule.asked == [("alice", Action.READ, "job:1"), ("alice", Action.PUBLISH, "job:1")]


async def test_a_rule_cannot_take_away():
    """What a pattern grants is not even asked of a rule."""
    access, rule = Access(), Rule(False)
    access.add_rule("**", rule)

    assert await access.can_read(principal(), "public:a")
    assert rule.asked == []


@pytest.mark.parametrize("answer", [False, None, 1, "yes", RuntimeError("secret"), KeyError("x")])
async def test_only_true_from_a_rule_grants(answer: object):
    """Errors and truthy values other than True deny."""
    access = Access()
    access.add_rule("job:*", Rule(answer))

    assert not await access.can_read(principal(), "job:1")


async def test_a_broken_rule_does_not_stop_the_next():
    """One feature's failure does not deny what another grants."""
    access = Access()
    access.add_rule("job:*", Rule(RuntimeError()))
    access.add_rule("job:*", Rule(StoreUnavailable()))
    access.add_rule("job:*", Rule(True))

    assert await access.can_read(principal(), "job:1")


@pytest.mark.parametrize("error", ends(), ids=lambda one: type(one).__name__)
async def test_whatever_a_rule_raises_is_no_grant(error: BaseException):
    """The request is refused; it does not end the process, nor look like a cancelled one."""
    access = Access()
    access.add_rule("job:*", Rule(error))

    with pytest.raises(Forbidden):
        await access.require_read(principal(), ["job:1", "job:2"])


async def test_a_request_that_is_cancelled_while_a_rule_is_asked_ends():
    """A rule that is broken is contained, a client that has gone is not."""
    access = Access()
    access.add_rule("job:*", Hanging())
    asking = asyncio.create_task(access.can_read(principal(), "job:1"))
    await asyncio.sleep(0)

    asking.cancel()
    await asyncio.wait([asking])

    assert asking.cancelled()


async def test_a_rule_that_cannot_tell_now_denies_as_temporary():
    """A 403 would make an EventSource give up for good, so the outage is said."""
    access = Access()
    access.add_rule("job:*", Rule(StoreUnavailable()))
    access.add_rule("job:*", Rule(False))

    with pytest.raises(StoreUnavailable):
        await access.can_read(principal(), "job:1")


async def test_a_rule_that_hangs_denies(monkeypatch: pytest.MonkeyPatch):
    """A rule has bounded time."""
    monkeypatch.setattr(grants, "RULE_TIMEOUT_S", 0.01)
    access = Access()
    access.add_rule("job:*", Hanging())

    assert not await access.can_read(principal(), "job:1")


def test_a_rule_needs_a_valid_pattern():
    """A mistake shows at start."""
    with pytest.raises(InvalidPattern):
        Access().add_rule("job*", Rule(True))


async def test_require_names_only_what_was_denied():
    """The caller learns which of its topics, not whether they exist."""
    access = Access()

    await access.require_read(principal(), ["public:a", "user:alice:b"])
    with pytest.raises(Forbidden) as caught:
        await access.require_read(principal(), ["public:a", "job:1", "job:1"])
    with pytest.raises(Forbidden):
        await access.require_publish(principal(), ["public:a"])

    assert caught.value.detail == "Not granted: job:1"


async def test_require_publish_accepts_what_is_granted():
    """All topics granted is no error."""
    await Access().require_publish(principal(publish=["room:*"]), ["room:1", "room:2"])


async def test_the_detail_of_a_denial_is_bounded():
    """Fifty denied topics do not make a page of text."""
    with pytest.raises(Forbidden) as caught:
        await Access().require_read(principal(), [f"job:{n}" for n in range(50)])

    assert str(caught.value).count("job:") == 5
