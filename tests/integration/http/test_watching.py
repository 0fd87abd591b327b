"""Health and metrics: what operators and load balancers see."""

from __future__ import annotations

import asyncio

import pytest
from pydantic import SecretStr

from tests.integration.http.conftest import METRICS_TOKEN, Api, client_of, production
from tests.integration.http.rows import assert_problem
from tests.support.instances import running
from tests.support.upstash_server import UpstashServer

NAMES = [
    "millrace_open_streams",
    "millrace_connects_total",
    "millrace_resumes_total",
    "millrace_resets_total",
    "millrace_delivered_events_total",
    "millrace_published_events_total",
    "millrace_polls_total",
    "millrace_empty_polls_total",
    "millrace_poll_errors_total",
    "millrace_redis_commands_total",
    "millrace_publish_to_deliver_seconds_bucket",
]


@pytest.mark.parametrize("path", ["/api/health", "/api/health/ready"])
async def test_ready_when_redis_answers(api: Api, path: str) -> None:
    answer = await api.client.get(path)

    assert answer.status_code == 200
    assert answer.json() == {"status": "ok", "parts": ["redis"]}
    assert answer.headers["cache-control"] == "no-store"


async def test_a_wrong_token_is_not_taken_for_a_silent_store(upstash: UpstashServer) -> None:
    """Health names the setting to look at; waiting would not help."""
    wrong = production(upstash, UPSTASH_REDIS_REST_TOKEN=SecretStr("another-0451"))

    async with running(wrong) as instance, client_of(instance) as client:
        answer = await client.get("/api/health")

    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    [error] = answer.json()["errors"]
    assert error["field"] == "redis"
    assert error["message"].startswith("the store refuses the token")
    assert "UPSTASH_REDIS_REST_TOKEN" in error["message"]
    assert "0451" not in answer.text


@pytest.mark.parametrize("path", ["/api/health", "/api/health/ready"])
async def test_not_ready_names_the_part_that_fails(upstash: UpstashServer, path: str) -> None:
    nowhere = production(upstash, UPSTASH_REDIS_REST_URL="http://127.0.0.1:1")

    async with running(nowhere) as instance, client_of(instance) as client:
        answer = await client.get(path)

    assert (answer.status_code, answer.json()["code"]) == (503, "not-ready")
    assert answer.json()["errors"] == [{"field": "redis", "message": "does not answer"}]
    assert answer.headers["retry-after"]


async def test_alive_asks_nobody(api: Api, upstash: UpstashServer) -> None:
    answer = await api.client.get("/api/health/live")

    assert answer.status_code == 200
    assert upstash.meter().billed == 0


async def test_many_probes_cost_one_command(api: Api, upstash: UpstashServer) -> None:
    answers = await asyncio.gather(*(api.client.get("/api/health") for _ in range(50)))

    assert {answer.status_code for answer in answers} == {200}
    assert upstash.meter().commands == {"PING": 1}


async def test_a_draining_process_is_healthy_but_not_ready(api: Api) -> None:
    await api.instance.services.streaming.open_streams.drain(timeout_s=0)

    health = await api.client.get("/api/health")
    ready = await api.client.get("/api/health/ready")

    assert (health.status_code, ready.status_code) == (200, 503)


async def test_metrics_are_for_admins_and_the_token(api: Api) -> None:
    statuses = {}
    for who, headers in {
        "nobody": {},
        "a user": api.bearer(),
        "a wrong token": {"Authorization": "Bearer wrong"},
        "an admin": api.bearer("admin"),
        "the token": {"Authorization": f"Bearer {METRICS_TOKEN}"},
    }.items():
        statuses[who] = (await api.client.get("/api/metrics", headers=headers)).status_code

    assert statuses == {
        "nobody": 401,
        "a user": 403,
        "a wrong token": 401,
        "an admin": 200,
        "the token": 200,
    }


async def test_an_empty_metrics_token_opens_nothing(upstash: UpstashServer) -> None:
    settings = production(upstash).model_copy(update={"metrics_token": SecretStr("")})

    async with running(settings) as instance, client_of(instance) as client:
        answer = await client.get("/api/metrics", headers={"Authorization": "Bearer "})

    assert answer.status_code == 401


async def test_metrics_are_open_in_local_mode(local_api: Api) -> None:
    answer = await local_api.client.get("/api/metrics")

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize("name", NAMES)
async def test_metrics_cover(local_api: Api, name: str) -> None:
    await local_api.client.get("/api/health")

    assert name in (await local_api.client.get("/api/metrics")).text


async def test_leases_that_redis_failed_are_counted(local_api: Api) -> None:
    local_api.instance.services.security.connections.failures["acquire"] += 2

    text = (await local_api.client.get("/api/metrics")).text

    assert 'millrace_lease_failures_total{step="acquire"} 2.0' in text


async def test_metrics_count_what_happens(local_api: Api) -> None:
    client, headers = local_api.client, local_api.bearer()
    event = {"type": "order.shipped", "data": 1}
    batch = {"events": [{"topic": "shop:a", **event}, {"topic": "shop:a", "type": "bye"}]}
    await client.post("/api/events/shop:a", json=event, headers=headers)
    await client.post("/api/events", json=batch, headers=headers)
    url = "/api/events?topic=shop:a&history=9"
    await client.get(url, headers={**headers, "Accept": "application/json"})

    text = (await client.get("/api/metrics")).text

    assert "millrace_published_events_total 2.0" in text
    assert "millrace_delivered_events_total 2.0" in text
    assert 'millrace_redis_commands_total{command="XADD"} 2.0' in text


async def test_a_stream_over_the_limit_is_refused_and_counted(upstash: UpstashServer) -> None:
    settings = production(upstash, max_streams_per_user=1)

    async with running(settings) as instance, client_of(instance) as client:
        api = Api(client, instance)
        lease = await instance.services.security.connections.acquire("alice", "::1", "tab-1")
        url, as_stream = "/api/events?topic=shop:a", {"Accept": "text/event-stream"}
        refused = await client.get(url, headers={**api.bearer(), **as_stream})
        metrics = await client.get("/api/metrics", headers=api.bearer("admin"))
        await instance.services.security.connections.release(lease)

    assert_problem(refused, 429, "over-connection-limit")
    assert int(refused.headers["retry-after"]) > 0
    assert 'millrace_refused_streams_total{reason="over-limit"} 1.0' in metrics.text
