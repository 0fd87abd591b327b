"""Builders of events, and Hypothesis's strategies for them."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from api.events.event import MAX_PART, Event, EventId
from api.events.topic import TopicName

TOPIC = TopicName("public:orders")

_ALLOWED = "ABCXYZabcxyz0189_.~-"
_segments = st.text(_ALLOWED, min_size=1, max_size=12)

topic_names = st.lists(_segments, min_size=1, max_size=8).map(":".join).map(TopicName)
event_ids = st.builds(EventId, st.integers(0, MAX_PART), st.integers(0, MAX_PART))
positions = st.dictionaries(topic_names, event_ids, max_size=12)

_texts = st.text(st.characters(exclude_categories=["Cs"]))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | _texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)


def event(
    ms: int, seq: int = 0, *, topic: str = TOPIC, kind: str = "tick", data: Any = None
) -> Event:
    """An event as a log returns it."""
    stored = json.dumps({"type": kind, "data": data})
    return Event.of(EventId(ms, seq), TopicName(topic), stored)
