"""A user whose id is no segment of a topic is one user in every feature."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.integration.http.conftest import SECRET, client_of, production
from tests.support.chat import KEY
from tests.support.instances import Instance, running
from tests.support.upstash_server import UpstashServer

IDS = {
    "auth0|123": "auth0~7C123",
    "google-oauth2|1": "google-oauth2~7C1",
    "eu-west-1:0f3c9a52-7d41": "eu-west-1~3A0f3c9a52-7d41",
    "a@b.example": "a~40b.example",
    "plain_42": "plain_42",
}


class People:
    """Callers of one instance, by the id that their token has."""

    def __init__(self, instance: Instance, client: httpx.AsyncClient) -> None:
        self.instance = instance
        self._client = client

    async def call(self, who: str, method: str, path: str, **options: Any) -> Any:
        roles = ["admin"] if who == "root" else []
        token = self.instance.services.security.sessions.issue(who, roles=roles)
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
        answer = await self._client.request(method, path, headers=headers, **options)
        assert answer.status_code < 300, answer.text
        return answer.json() if answer.content else None


@pytest.fixture
async def people(upstash: UpstashServer) -> AsyncIterator[People]:
    given = production(upstash, secret=SECRET, ABLY_API_KEY=KEY, example_jobs=True)
    async with running(given) as instance, client_of(instance) as client:
        yield People(instance, client)


@pytest.mark.parametrize(("user_id", "segment"), IDS.items())
async def test_a_user_reads_its_own_topics(people: People, user_id: str, segment: str) -> None:
    """`user:<segment>:**`, by token and by ticket, under the limits of streams."""
    topic = f"user:{segment}:inbox"
    await people.call("root", "POST", f"/api/events/{topic}", json={"type": "t", "data": 1})

    read = await people.call(user_id, "GET", f"/api/events/{topic}/history")
    ticket = await people.call(user_id, "POST", "/api/stream-tickets", json={"topics": [topic]})
    who = await people.instance.services.security.tickets.redeem(ticket["ticket"])

    assert [event["data"] for event in read["events"]] == [1]
    assert who.id == segment


@pytest.mark.parametrize(("user_id", "segment"), IDS.items())
async def test_a_user_is_notified_by_id_and_by_segment(
    people: People, user_id: str, segment: str
) -> None:
    """Both name one recipient, who gets one notification."""
    body = {"to": [user_id, segment], "title": "t"}

    sent = await people.call("root", "POST", "/api/notifications", json=body)
    inbox = await people.call(user_id, "GET", "/api/notifications")
    await people.call(user_id, "POST", "/api/notifications/read", json={"up_to": inbox["seen"]})
    unread = await people.call(user_id, "GET", "/api/notifications/unread")

    assert [one["topic"] for one in sent["sent"]] == [f"user:{segment}:notifications"]
    assert [one["id"] for one in inbox["data"]] == [one["id"] for one in sent["sent"]]
    assert unread == {"unread": 0}


@pytest.mark.parametrize(("user_id", "segment"), IDS.items())
async def test_a_user_is_one_member_of_chat(people: People, user_id: str, segment: str) -> None:
    """Invited by id, listed by segment, which is the client id on Ably; banned by either."""
    await people.call("root", "POST", "/api/chat/rooms", json={"id": "r", "title": "R"})
    await people.call("root", "POST", "/api/chat/rooms/r/members", json={"user": user_id})

    await people.call(user_id, "POST", "/api/chat/rooms/r/join")
    members = await people.call("root", "GET", "/api/chat/rooms/r/members")
    token = await people.call(user_id, "GET", "/api/chat/token")
    banned = await people.call("root", "POST", "/api/chat/bans", json={"user": segment})
    await people.call("root", "DELETE", f"/api/chat/bans/{quote(user_id)}")
    bans = await people.call("root", "GET", "/api/chat/bans")

    assert segment in [one["user"] for one in members["members"]]
    assert token["clientId"] == segment
    assert banned["user"] == segment
    assert bans["users"] == []


@pytest.mark.parametrize(("user_id", "segment"), IDS.items())
async def test_a_user_has_a_feed_and_jobs(people: People, user_id: str, segment: str) -> None:
    """The feed is named by either; the job is its creator's."""
    entry = {"verb": "did", "object": {"type": "a", "id": "b"}}

    await people.call("root", "POST", f"/api/activity/user:{quote(user_id)}", json=entry)
    feed = await people.call(user_id, "GET", f"/api/activity/user:{segment}")
    kind = {"type": "checksums", "input": {"items": [{"name": "a", "content": "x"}]}}
    created = await people.call(user_id, "POST", "/api/jobs", json=kind)
    listed = await people.call(user_id, "GET", "/api/jobs")

    assert [one["data"]["verb"] for one in feed["data"]] == ["did"]
    assert created["id"] in str(listed)
