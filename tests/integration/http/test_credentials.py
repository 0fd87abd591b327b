"""Who may not: every credential that is missing, old, forged or for something else."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode

import pytest

from tests.integration.http.conftest import Api
from tests.integration.http.rows import EVENT, assert_problem, base64url


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("Bearer", "unauthorized"),
        ("Bearer x.y.z", "unauthorized"),
        ("Basic YTpi", "unauthorized"),
        ("Bearer " + "a" * 10_000, "unauthorized"),
    ],
    ids=["no token", "no JWT", "another scheme", "too long"],
)
async def test_a_bad_authorization_is_401(api: Api, authorization: str, code: str) -> None:
    answer = await api.client.get(
        "/api/events?topic=shop:a", headers={"Authorization": authorization}
    )

    assert_problem(answer, 401, code)
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_no_credentials_are_401(api: Api) -> None:
    assert_problem(await api.client.get("/api/events?topic=shop:a"), 401, "unauthorized")


async def test_an_expired_token_is_told_so(api: Api) -> None:
    expired = {"Authorization": f"Bearer {api.token(issued_ago_s=7200)}"}

    answer = await api.client.get("/api/events?topic=shop:a", headers=expired)

    assert_problem(answer, 401, "token-expired")


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "None", "typ": "JWT"}])
async def test_an_unsigned_token_is_refused(api: Api, header: dict[str, str]) -> None:
    _, claims, _ = api.token("admin").split(".")
    forged = f"{base64url(json.dumps(header).encode())}.{claims}."

    answer = await api.client.get(
        "/api/events?topic=shop:a", headers={"Authorization": f"Bearer {forged}"}
    )

    assert_problem(answer, 401, "unauthorized")


async def test_claims_cannot_be_changed_behind_the_signature(api: Api) -> None:
    head, claims, signature = api.token().split(".")
    changed = json.loads(urlsafe_b64decode(claims + "==")) | {"roles": ["admin"]}
    forged = f"{head}.{base64url(json.dumps(changed).encode())}.{signature}"

    answer = await api.client.get("/api/metrics", headers={"Authorization": f"Bearer {forged}"})

    assert_problem(answer, 401, "unauthorized")


async def test_a_ticket_is_good_once(api: Api) -> None:
    url = f"/api/events?topic=shop:a&ticket={await api.ticket('shop:a')}"
    as_json = {"Accept": "application/json"}

    first = await api.client.get(url, headers=as_json)
    second = await api.client.get(url, headers=as_json)

    assert first.status_code == 200
    assert_problem(second, 401, "ticket-used")


async def test_a_ticket_is_for_its_own_topics(api: Api) -> None:
    ticket = await api.ticket("shop:a")

    answer = await api.client.get(f"/api/events?topic=shop:b&ticket={ticket}")

    assert_problem(answer, 403, "forbidden")


async def test_a_ticket_is_for_reading_only(api: Api) -> None:
    ticket = await api.ticket("shop:a")

    answer = await api.client.post(f"/api/events/shop:a?ticket={ticket}", json=EVENT)

    assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("origin", [None, "null", "https://evil.example", "http://api.example"])
async def test_a_write_by_cookie_comes_from_an_allowed_origin(api: Api, origin: str | None) -> None:
    headers = {"Cookie": f"millrace_session={api.token()}"} | ({"Origin": origin} if origin else {})

    answer = await api.client.post("/api/events/shop:a", json=EVENT, headers=headers)

    assert_problem(answer, 403, "foreign-origin")
