"""Which topics are feeds, and what others bring into them."""

from __future__ import annotations

import pytest

from api.activity.fan_in import job_finished, message_posted
from api.activity.feeds import EVENTS, feed_topic
from api.announcements import JobFinished, MessagePosted
from api.events import Catalogue, Draft
from api.problems import InvalidTopic


@pytest.mark.parametrize("feed", ["workspace:42", "user:alice", "public"])
def test_a_feed_is_named_by_the_front_of_its_topic(feed: str):
    """Workspaces, users, and one for all."""
    assert feed_topic(feed) == f"{feed}:activity"


@pytest.mark.parametrize(
    "feed", ["", "workspace", "user", "public:a", "job:1", "workspace:a:b", "*"]
)
def test_other_topics_are_no_feeds(feed: str):
    """Or any topic could be read as one."""
    with pytest.raises(InvalidTopic):
        feed_topic(feed)


@pytest.mark.parametrize(
    ("draft", "topic"),
    [
        (job_finished(JobFinished("alice", "job_1", "report", "failed")), "user:alice:activity"),
        (
            job_finished(JobFinished("alice", "job_1", "report", "succeeded"), feed="workspace:1"),
            "workspace:1:activity",
        ),
        (message_posted(MessagePosted("1", "alice", "m1")), "workspace:1:activity"),
        (message_posted(MessagePosted("1", "alice", "m1"), feed="public"), "public:activity"),
    ],
)
def test_what_others_bring_in_is_valid(draft: Draft, topic: str):
    """Stored as it is, with every field that the type has."""
    catalogue = Catalogue()
    for kind in EVENTS:
        catalogue.declare(kind.name, kind.model, topics=kind.topics)
    stored = catalogue.checked(draft.topic, draft.type, draft.data)

    assert draft.topic == topic
    assert set(stored) == {"actor", "verb", "object", "details"}
    assert stored["actor"] == "alice"
