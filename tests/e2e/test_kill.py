"""A process that dies in the middle of a burst costs its readers nothing."""

from __future__ import annotations

import asyncio
from itertools import combinations

from tests.e2e.conftest import Start
from tests.support.container import Container
from tests.support.publisher import Publisher
from tests.support.raw_reader import Reader, assert_each_once, reading

EVENTS = 10_000
# Published when the first reader is back and others are on their way.
REST = 3_000
AT_ONCE = 20
READERS = 50
TOPICS = ("public:kill:a", "public:kill:b", "public:kill:c")
SETS = [chosen for size in (1, 2, 3) for chosen in combinations(TOPICS, size)]


async def test_fifty_readers_lose_nothing_when_their_server_is_killed_in_mid_burst(
    start: Start, elsewhere: Container, publisher: Publisher
) -> None:
    """SIGKILL within 10,000 events; all go on elsewhere: none lost, none twice, in order."""
    server, token = start(retry_ms=1000), elsewhere.token()
    readers = [Reader(server.url, token, SETS[n % len(SETS)]) for n in range(READERS)]
    async with reading(readers):
        burst = asyncio.create_task(
            publisher.burst(TOPICS, EVENTS - REST, {"text": "x" * 100}, at_once=AT_ONCE)
        )
        await readers[-1].has(EVENTS // 20)

        server.kill()
        assert not burst.done(), "the burst was over before the kill"
        for reader in readers:
            reader.url = elsewhere.url
        await readers[-1].until(lambda: readers[-1].connected == 2)
        await burst
        await publisher.burst(TOPICS, REST, {"text": "x" * 100}, at_once=AT_ONCE)
        total = {topic: len(ids) for topic, ids in publisher.published.items()}
        for reader in readers:
            wanted = sum(total[topic] for topic in reader.topics)
            await reader.has(wanted, 20)

    assert_each_once(readers, publisher.published)
    assert sum(total.values()) == EVENTS
    assert all(reader.connected == 2 for reader in readers)
