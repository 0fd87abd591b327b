"""Checks that a reader gets each event once and in order per topic, or a `reset` for a gap."""

from __future__ import annotations

import json
from collections import defaultdict

from tests.support.sse_parser import Frame


class Ledger:
    """What one reader saw. It fails at once at any difference from what was published.

    `begun` counts the events of each topic that somebody has begun to publish.
    """

    def __init__(
        self,
        published: dict[str, list[str]] | None = None,
        begun: dict[str, int] | None = None,
    ) -> None:
        self.published = defaultdict(list) if published is None else published
        self.begun = defaultdict(int) if begun is None else begun
        self.seen: dict[str, list[str]] = defaultdict(list)
        self.resets: list[tuple[str, str]] = []
        self.byes: list[str] = []
        self._next: dict[str, int] = {}
        self._start: dict[str, int] = {}
        self._fresh: set[str] = set()
        self._forgiven: set[str] = set()

    def publish(self, topic: str, event_id: str) -> None:
        """Note an event that was stored before anybody could miss it."""
        self.begun[topic] += 1
        self.published[topic].append(event_id)

    def subscribe(self, topics: set[str]) -> None:
        """Note the topics of the stream. A topic that was left starts anew when it is back."""
        for topic in self._next.keys() - topics:
            del self._next[topic]
            self.seen[topic].clear()
            self._forgiven.discard(topic)

    def connecting(self) -> None:
        """Note that the first frame was sent. Events that are begun after it may not be missing."""
        self._start = dict(self.begun)

    def connected(self, topics: list[str]) -> None:
        """Note that the first frame was read."""
        for topic in topics:
            if topic not in self._next:
                self._next[topic] = self._start.get(topic, 0)
                self._fresh.add(topic)

    def reset(self, topics: list[str], reason: str) -> None:
        for topic in topics:
            self.resets.append((topic, reason))
            self._forgiven.add(topic)

    def event(self, topic: str, event_id: str) -> None:
        assert event_id not in self.seen[topic], f"{event_id} twice on {topic}"
        index, expected = self.published[topic].index(event_id), self._next[topic]
        # "Now" is where the process stands, so the first event may be a little older.
        assert index >= expected or topic in self._fresh, f"{event_id} out of order on {topic}"
        missed = self.published[topic][expected:index]
        assert not missed or topic in self._forgiven, f"{missed} lost on {topic} without a reset"
        self._fresh.discard(topic)
        self._forgiven.discard(topic)
        self._next[topic] = index + 1
        self.seen[topic].append(event_id)

    def take(self, frame: Frame) -> None:
        """Check a frame of a stream, with or without an event name."""
        data = json.loads(frame.data)
        match frame.event:
            case "connected":
                self.connected(data["topics"])
            case "reset":
                self.reset(data["topics"], data["reason"])
            case "bye":
                self.byes.append(data["reason"])
            case _:
                assert frame.id
                self.event(data["topic"], data["id"])

    def take_answer(self, answer: dict[str, object], topics: list[str]) -> None:
        """Check a JSON answer."""
        for reset in answer["reset"] or ():  # type: ignore[attr-defined]
            self.reset(reset["topics"], reset["reason"])
        self.connecting()
        self.connected(topics)
        for event in answer["events"]:  # type: ignore[attr-defined]
            self.event(event["topic"], event["id"])
