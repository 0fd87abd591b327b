"""What Redis holds of a source: one holder, and each batch once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest

from api.events import TopicName, log_key
from api.relay.store import NewEntry, NotHeldError, SourceStore
from api.services import build_services
from tests.integration.relay.conftest import Start, has, prices, watch
from tests.support.instances import settings_for
from tests.support.sse_upstream import UpstreamProcess
from tests.support.upstash_server import UpstashServer

TOPIC = TopicName("relay:prices")
NOW, LEASE_S = 1_795_000_000.0, 30.0
ENTRY = NewEntry('{"type":"price","data":"1"}', "7")


@pytest.fixture
async def stores(upstash: UpstashServer) -> AsyncIterator[tuple[SourceStore, SourceStore]]:
    """Those of two processes."""
    services = build_services(settings_for(upstash))
    log = services.streaming.log
    yield SourceStore(log, TOPIC, holder="a"), SourceStore(log, TOPIC, holder="b")
    for client in services.clients:
        await client.close()


Stores = tuple[SourceStore, SourceStore]


async def test_one_holds_a_source_until_its_lease_runs_out(stores: Stores):
    """And goes on with it by asking again."""
    one, other = stores

    assert await one.hold(NOW, LEASE_S) == ""
    assert await other.hold(NOW + 29, LEASE_S) is None
    assert await one.hold(NOW + 29, LEASE_S) == ""
    assert await other.hold(NOW + 31, LEASE_S) is None
    assert await other.hold(NOW + 60, LEASE_S) == ""
    assert await one.hold(NOW + 60, LEASE_S) is None


async def test_a_source_that_is_released_is_free_at_once(stores: Stores):
    """But only its holder can release it."""
    one, other = stores
    await one.hold(NOW, LEASE_S)
    await other.release()
    refused = await other.hold(NOW, LEASE_S)
    await one.release()

    assert refused is None
    assert await other.hold(NOW, LEASE_S) == ""


async def test_the_next_holder_goes_on_where_the_last_one_was(stores: Stores):
    """The upstream's id is stored with the events, so neither is ahead of the other."""
    one, other = stores
    await one.hold(NOW, LEASE_S)
    await one.append([ENTRY], batch=one.next_batch(), last_id="7")
    found = await other.hold(NOW + 31, LEASE_S)

    assert found == "7"
    assert await other.recent_ids() == ["7"]


async def test_a_holder_of_the_past_stores_nothing(stores: Stores):
    """It was frozen, and wakes up with events that the next one has read as well."""
    one, other = stores
    await one.hold(NOW, LEASE_S)
    await other.hold(NOW + 31, LEASE_S)
    with pytest.raises(NotHeldError):
        await one.append([ENTRY], batch=one.next_batch(), last_id="7")

    assert await one.log.client.read("XLEN", log_key(TOPIC)) == 0


async def test_a_batch_is_stored_once_however_often_it_is_sent(stores: Stores):
    """The answer to the first time may have been lost."""
    one, _ = stores
    await one.hold(NOW, LEASE_S)
    batch = one.next_batch()
    for _ in range(3):
        await one.append([ENTRY, ENTRY], batch=batch, last_id="7")
    await one.append([ENTRY], batch=one.next_batch(), last_id="8")

    assert await one.log.client.read("XLEN", log_key(TOPIC)) == 3


async def test_what_each_step_costs(stores: Stores, upstash: UpstashServer):
    """As the store bills it; docs/cost.md says the same."""
    one, other = stores
    batch = one.next_batch()

    async def bill(step: Coroutine[Any, Any, Any]) -> int:
        upstash.reset_meter()
        await step
        return sum(upstash.meter().commands.values())

    assert await bill(one.hold(NOW, LEASE_S)) == 4
    assert await bill(other.hold(NOW, LEASE_S)) == 2
    assert await bill(one.append([ENTRY] * 5, batch=batch, last_id="7")) == 9
    assert await bill(one.append([ENTRY] * 5, batch=batch, last_id="7")) == 2
    assert await bill(one.recent_ids()) == 1
    assert await bill(one.release()) == 3
    ours = one.log.client._meter.commands
    assert ours["XADD"] == 5
    assert ours["EVAL"] == 5
    assert ours["HMGET"] == 4


async def test_lost_answers_store_nothing_twice(
    start: Start, upstream: UpstreamProcess, upstash: UpstashServer
):
    """Each time events are stored, the answer to that is lost on its way."""
    stream = watch(await start(), history=100)
    await stream.until_connected()
    for count in range(1, 8):
        upstash.faults(lose_replies=1, only=["EVAL"])
        await upstream.order(count=count)
        await has(stream, count)

    assert prices(stream) == list(range(1, 8))
    await stream.close()


async def test_a_stored_id_that_no_request_can_carry_does_not_break_the_source(
    stores: Stores, start: Start, upstream: UpstreamProcess
):
    """An older release stored such ids; the source goes on without it."""
    one, _ = stores
    await one.hold(NOW, LEASE_S)
    await one.append([ENTRY], batch="b", last_id=" 7 ")
    await one.release()
    await upstream.order(count=1)

    stream = watch(await start())
    await has(stream, 1)

    assert prices(stream) == [1]
    await stream.close()
