"""What the documents say is what the application does."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import pytest
import pytest_asyncio
from litestar.routes import HTTPRoute
from openapi_spec_validator import OpenAPIV31SpecValidator

import functions.refusals  # noqa: F401  # problems that the application itself does not know
from api.problems import ApiError
from tests.integration.http.conftest import Api, client_of
from tests.integration.http.test_bad_input import ALL_ROWS
from tests.support.instances import running, settings_for
from tests.support.upstash_server import UpstashServer

SPECS = Path(__file__).parents[2] / "e2e/node/node_modules/@asyncapi/specs/schemas/3.0.0.json"
# For all requests the same, whichever operation they are meant for.
UNDESCRIBED = {405}
PAGES = {"/", "/api/docs", "/api/docs/{name}", "/{name}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def documents(upstash_server: UpstashServer) -> dict[str, dict[str, Any]]:
    """Both documents of local mode, made once: nothing changes them."""
    async with running(settings_for(upstash_server)) as instance, client_of(instance) as client:
        return {
            name: (await client.get(f"/api/{name}.json")).json() for name in ("openapi", "asyncapi")
        }


@pytest.fixture
def openapi(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return documents["openapi"]


@pytest.fixture
def asyncapi(documents: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return documents["asyncapi"]


def operations(document: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        operation["operationId"]: operation
        for path in document["paths"].values()
        for operation in path.values()
    }


async def test_openapi_is_valid(openapi: dict[str, Any]) -> None:
    assert openapi["openapi"].startswith("3.1")
    assert [str(error) for error in OpenAPIV31SpecValidator(openapi).iter_errors()] == []


async def test_every_route_is_documented(local_api: Api, openapi: dict[str, Any]) -> None:
    served = {
        (method.lower(), re.sub(r":\w+", "", route.path))
        for route in local_api.instance.app.routes
        if isinstance(route, HTTPRoute)
        for method in route.methods - {"OPTIONS"}
    }
    documented = {(method, path) for path, item in openapi["paths"].items() for method in item}

    assert documented == {(method, path) for method, path in served if path not in PAGES}


async def test_every_failure_is_documented_as_a_problem(openapi: dict[str, Any]) -> None:
    for operation in operations(openapi).values():
        for status, answer in operation["responses"].items():
            if status >= "400":
                assert list(answer["content"]) == [error_type(operation)]
            assert "X-Request-Id" in answer["headers"]


def error_type(operation: dict[str, Any]) -> str:
    """Ably's SDKs, which call the token endpoint, read errors in a shape of their own."""
    is_token = operation["operationId"].startswith("issue_token")
    return "application/json" if is_token else "application/problem+json"


async def test_every_kind_of_problem_is_documented(openapi: dict[str, Any]) -> None:
    told = set(re.findall(r'"code": "([a-z-]+)"', json.dumps(openapi)))
    kinds = {kind.code for kind in _all(ApiError)}

    # These answer requests that no operation describes; most never reach one.
    undescribed = {
        *("method-not-allowed", "direct-access", "foreign-host"),
        *("head-too-large", "url-too-long", "request-timed-out", "too-many-connections"),
    }
    # These are told by the token endpoint alone, in Ably's shape.
    in_ablys_shape = {"no-rooms", "too-many-rooms"}
    assert kinds - told == undescribed | in_ablys_shape


async def test_every_refusal_of_a_bad_request_is_documented(api: Api) -> None:
    """Each status and code that is tried elsewhere stands with its operation."""
    document = (await api.client.get("/api/openapi.json")).json()
    missing = [
        f"{row.rule}: {row.status} {row.code}"
        for row in ALL_ROWS
        if row.status not in UNDESCRIBED
        and "Host" not in row.headers
        and (operation := operation_of(document, row.method, row.path))
        and f'"{row.code}"' not in json.dumps(operation["responses"].get(str(row.status)))
    ]

    assert missing == []


@pytest.mark.parametrize("name", ["*", "a", "%C3%A9", "x" * 65])
async def test_every_refusal_of_a_name_in_a_path_is_documented(
    local_api: Api, openapi: dict[str, Any], name: str
) -> None:
    """Whatever stands in the place of an id, also where there is no body to refuse."""
    headers = local_api.bearer("admin")
    missing = []
    for path, methods in openapi["paths"].items():
        for method, operation in methods.items() if "{" in path else ():
            url = re.sub(r"{\w+}", name, path)
            body: Any = {} if "requestBody" in operation else None
            answer = await local_api.client.request(method.upper(), url, headers=headers, json=body)
            if str(answer.status_code) not in operation["responses"]:
                missing.append(f"{method} {path}: {answer.status_code}")

    assert missing == []


def operation_of(document: dict[str, Any], method: str, path: str) -> dict[str, Any] | None:
    """The operation that a request is meant for; None for what the document does not know."""
    given = path.partition("?")[0]
    for template in sorted(document["paths"], key=lambda one: one.count("{")):
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", template), given):
            found: dict[str, Any] | None = document["paths"][template].get(method.lower())
            return found
    return None


async def test_limits_of_fields_are_documented(openapi: dict[str, Any]) -> None:
    fields = openapi["components"]["schemas"]["NotificationBody"]["properties"]
    users = next(option for option in fields["to"]["oneOf"] if option["type"] == "array")

    assert (fields["title"]["minLength"], fields["title"]["maxLength"]) == (1, 200)
    assert users["maxItems"] == 100
    assert users["items"]["pattern"]


async def test_reading_is_documented_in_both_forms(openapi: dict[str, Any]) -> None:
    read = operations(openapi)["read_events"]
    good = read["responses"]["200"]

    assert set(good["content"]) == {"text/event-stream", "application/json"}
    assert {"ETag", "X-Poll-After-Ms"} <= set(good["headers"])
    assert "304" in read["responses"]
    assert {"bearer": []} in read["security"]
    assert {"cookie": []} in read["security"]
    assert {"ticket": []} in read["security"]
    assert {parameter["name"] for parameter in read["parameters"]} == {
        *("topic", "Last-Event-ID", "cursor", "types", "named", "history", "wait", "conn"),
        *("If-None-Match", "lastEventId"),
    }
    assert "Retry-After" in read["responses"]["429"]["headers"]


async def test_every_parameter_of_reading_says_what_it_is(openapi: dict[str, Any]) -> None:
    read = operations(openapi)["read_events"]

    assert all(parameter.get("description") for parameter in read["parameters"])


async def test_answers_are_as_documented(local_api: Api, openapi: dict[str, Any]) -> None:
    schemas = {"components": openapi["components"]}
    headers = local_api.bearer()
    event = {"type": "order.shipped", "data": {"order": 1}}
    url = "/api/events?topic=shop:a&history=5"
    answers = {
        "PublishedView": await local_api.client.post(
            "/api/events/shop:a", json=event, headers=headers
        ),
        "BatchView": await local_api.client.post(
            "/api/events", json={"events": [{"topic": "no", **event}]}, headers=headers
        ),
        "PollView": await local_api.client.get(
            url, headers={**headers, "Accept": "application/json"}
        ),
        "HistoryView": await local_api.client.get("/api/events/shop:a/history", headers=headers),
        "TicketView": await local_api.client.post(
            "/api/stream-tickets", json={"topics": ["shop:a"]}, headers=headers
        ),
        **await _of_feeds(local_api),
        "Problem": await local_api.client.get("/api/events", headers=headers),
        "HealthView": await local_api.client.get("/api/health"),
    }

    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", **schemas}
        jsonschema.Draft202012Validator(schema).validate(answer.json())
    assert answers["PollView"].json()["events"]


async def _of_feeds(local_api: Api) -> dict[str, httpx.Response]:
    """Answers of notifications and feeds, none of them empty."""
    http, headers = local_api.client, local_api.bearer("admin")
    note = {"to": ["alice"], "title": "t"}
    action = {"verb": "edited", "object": {"type": "document", "id": "42"}}
    sent = await http.post("/api/notifications", json=note, headers=headers)
    posted = await http.post("/api/activity/public", json=action, headers=headers)
    marked = {"ids": ["public:notifications/1-1"]}
    return {
        "NotificationSent": sent,
        "NotificationsView": await http.get("/api/notifications", headers=headers),
        "UnreadView": await http.get("/api/notifications/unread", headers=headers),
        "ChangedView": await http.post("/api/notifications/read", json=marked, headers=headers),
        "ActivityPosted": posted,
        "FeedView": await http.get("/api/activity/public", headers=headers),
    }


async def test_a_page_of_another_application_names_no_development(api: Api) -> None:
    document = (await api.client.get("/api/openapi.json")).json()

    assert "/api/dev/session" not in document["paths"]


@pytest.mark.skipif(not SPECS.is_file(), reason="run: npm ci --prefix tests/e2e/node")
async def test_asyncapi_is_valid(asyncapi: dict[str, Any]) -> None:
    validator = jsonschema.Draft7Validator(json.loads(SPECS.read_text()))

    assert [error.message for error in validator.iter_errors(asyncapi)] == []


async def test_asyncapi_describes_the_controls(asyncapi: dict[str, Any]) -> None:
    assert asyncapi["asyncapi"] == "3.0.0"
    assert {"connected", "reset", "bye"} <= set(asyncapi["components"]["messages"])
    assert asyncapi["servers"]["api"]["host"] == "localhost"


async def test_docs_load_nothing_from_elsewhere(api: Api) -> None:
    page = await api.client.get("/api/docs")
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text)

    assert links
    for link in links:
        answer = await api.client.get(link)
        assert (answer.status_code, answer.headers["x-content-type-options"]) == (200, "nosniff")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]


def _all(kind: type[ApiError]) -> list[type[ApiError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in _all(below))]
