"""What passes by itself is not a status to an EventSource."""

from __future__ import annotations

from tests.integration.http.conftest import Api
from tests.support.upstash_server import UpstashServer

EVENTS = "/api/events?topic=public:news"


async def test_a_store_that_is_away_is_a_reason_to_come_back(api: Api, upstash: UpstashServer):
    """A ticket cannot be redeemed now: 200, `retry:`, and the end."""
    ticket = await api.ticket("public:news")
    upstash.faults(refuse=True)
    answer = await api.client.get(
        f"{EVENTS}&ticket={ticket}", headers={"Accept": "text/event-stream"}
    )

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert answer.text.startswith("retry: ")
    assert answer.text.endswith(": store-unavailable\n\n")


async def test_a_program_gets_the_problem(api: Api, upstash: UpstashServer):
    """It can read a status, and knows what to do with it."""
    ticket = await api.ticket("public:news")
    upstash.faults(refuse=True)
    answer = await api.client.get(
        f"{EVENTS}&ticket={ticket}", headers={"Accept": "application/json"}
    )

    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")
