"""Publishes through one process and remembers what it published."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from tests.support.caller import Caller
from tests.support.container import Container

BATCH = 100


class Publisher(Caller):
    """A client of `container`. `published` has the ids of each topic, in their order."""

    def __init__(self, container: Container, *, timeout_s: float = 20) -> None:
        super().__init__(container, "publisher", ["admin"], timeout_s=timeout_s)
        self.published: dict[str, list[str]] = defaultdict(list)

    async def publish(self, topic: str, data: Any = None) -> str:
        """Publish one event. Returns its id."""
        answer = await self.http.post(f"/api/events/{topic}", json={"type": "tick", "data": data})
        event_id: str = answer.raise_for_status().json()["id"]
        self.published[topic].append(event_id)
        return event_id

    async def burst(
        self, topics: Sequence[str], count: int, data: Any = None, *, at_once: int = BATCH
    ) -> None:
        """Publish `count` events on the topics in turn, `at_once` of them in each request."""
        for first in range(0, count, at_once):
            names = [topics[n % len(topics)] for n in range(first, min(first + at_once, count))]
            events = [{"topic": name, "type": "tick", "data": data} for name in names]
            answer = await self.http.post("/api/events", json={"events": events})
            results = answer.raise_for_status().json()["results"]
            for name, result in zip(names, results, strict=True):
                self.published[name].append(result["id"])
