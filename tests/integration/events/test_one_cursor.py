"""One reader, every way to read, one cursor: each event once and in order."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from api.events.log.topic_log import TopicLog
from api.events.topic import TopicName
from tests.integration.events.conftest import put
from tests.integration.functions.lambda_ import Function
from tests.support.client import Client
from tests.support.gateway_events import function_url, http_api, rest_api
from tests.support.instances import Instance, settings_for
from tests.support.sse_parser import SseParser
from tests.support.upstash_server import UpstashServer

TOPICS = [TopicName("public:a"), TopicName("public:b")]


@pytest.fixture(scope="module")
def function(upstash_server: UpstashServer) -> Iterator[Function]:
    with Function(settings_for(upstash_server), window_s=0.4) as one:
        yield one


class Reader:
    """Goes on from its cursor, by whatever means."""

    def __init__(self, instance: Instance, function: Function) -> None:
        self.seen: list[tuple[str, Any]] = []
        self.cursor = ""
        self._client = Client(instance)
        self._function = function
        self._token = instance.token()

    async def poll(self) -> None:
        self._take((await self._client.poll(TOPICS, self.cursor)).json())

    async def wait(self) -> None:
        self._take((await self._client.poll(TOPICS, self.cursor, wait=5)).json())

    async def hold(self) -> None:
        stream = await self._client.stream(TOPICS, self.cursor).until_connected()
        await stream.until_events(1)
        await stream.close()
        self._keep(stream.events, stream.cursor)

    async def window(self, form: Any) -> None:
        headers = {"authorization": f"Bearer {self._token}", "accept": "text/event-stream"}
        if self.cursor:
            headers["last-event-id"] = self.cursor
        event = form("/api/events", [("topic", one) for one in TOPICS], headers)
        answer = await asyncio.to_thread(self._function.invoke, event)
        parser = SseParser(self.cursor)
        frames = parser.feed(answer["body"].encode())
        assert frames[-1].event == "bye"
        assert not any(frame.event == "reset" for frame in frames)
        events = [
            json.loads(frame.data) for frame in frames if frame.event not in {"connected", "bye"}
        ]
        self._keep(events, parser.last_event_id)

    def _take(self, answer: Any) -> None:
        assert answer["reset"] is None
        self._keep(answer["events"], answer["cursor"])

    def _keep(self, events: list[Any], cursor: str) -> None:
        self.seen += [(event["topic"], event["data"]) for event in events]
        self.cursor = cursor


@pytest.mark.parametrize("seed", range(4))
async def test_a_reader_that_changes_its_way_gets_each_event_once_in_order(
    seed: int, upstash: UpstashServer, instance: Instance, function: Function, log: TopicLog
):
    """As a stream, as windows behind all three gateways, as polls that wait or not."""
    rng = random.Random(seed)
    reader = Reader(instance, function)
    ways = [
        reader.poll,
        reader.wait,
        reader.hold,
        *(lambda form=form: reader.window(form) for form in (rest_api, http_api, function_url)),
    ]
    await reader.poll()
    published: list[tuple[str, int]] = []
    for way in rng.sample(ways * 3, len(ways) * 3):
        for _ in range(rng.randint(1, 4)):
            topic = rng.choice(TOPICS)
            published.append((topic, len(published)))
            await put(log, topic, len(published) - 1)
        await way()
    await reader.poll()

    for topic in TOPICS:
        expected = [one for one in published if one[0] == topic]
        assert [one for one in reader.seen if one[0] == topic] == expected
