"""A team's own event type, from ten lines in a module of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import jsonschema
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.integration.http.test_documents import SPECS
from tests.support.container import Container
from tests.support.upstash_server import UpstashServer

MODULE = '''
from pydantic import BaseModel, Field

class OrderShipped(BaseModel):
    """An order left the house."""
    order: int = Field(gt=0)
    carrier: str = "post"

def extend(millrace):
    millrace.event("order.shipped", OrderShipped, topics=["shop:*:orders"])
'''


@pytest.fixture(scope="module")
def shop(
    upstash_server: UpstashServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("team")
    (folder / "shop_events.py").write_text(MODULE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder))
        container = Container(upstash_server, extensions="shop_events").start()
    headers = {"Authorization": f"Bearer {container.token()}"}
    with httpx.Client(base_url=container.url, headers=headers, timeout=10) as client:
        yield client
    container.stop()
    assert "Traceback" not in container.complaints


def test_a_declared_type_is_checked_delivered_and_documented(shop: httpx.Client) -> None:
    topic = "/api/events/shop:7:orders"
    wrong = shop.post(topic, json={"type": "order.shipped", "data": {"order": 0}})
    elsewhere = shop.post(
        "/api/events/shop:7", json={"type": "order.shipped", "data": {"order": 1}}
    )
    with shop.stream("GET", "/api/events?topic=shop:7:orders") as stream:
        lines = stream.iter_lines()
        assert "event: connected" in until(lines, "id:")
        right = shop.post(topic, json={"type": "order.shipped", "data": {"order": 42}})
        arrived = until(lines, "id:")

    assert_named(wrong, "data.order")
    assert_named(elsewhere, "topic")
    assert right.status_code == 201
    event = json.loads(next(line for line in arrived if line.startswith("data:"))[5:])
    assert event["id"] == right.json()["id"]
    assert event["data"] == {"order": 42, "carrier": "post"}


def test_a_declared_type_is_in_both_documents(shop: httpx.Client) -> None:
    openapi = shop.get("/api/openapi.json").json()
    asyncapi = shop.get("/api/asyncapi.json").json()

    assert "OrderShipped" in openapi["components"]["schemas"]
    assert [str(error) for error in OpenAPIV31SpecValidator(openapi).iter_errors()] == []
    message = asyncapi["components"]["messages"]["event.order.shipped"]
    assert message["summary"] == "An order left the house."
    addresses = {channel["address"] for channel in asyncapi["channels"].values()}
    assert "shop:{segment2}:orders" in addresses
    if not SPECS.is_file():
        pytest.skip("run: npm ci --prefix tests/e2e/node")
    jsonschema.Draft7Validator(json.loads(SPECS.read_text())).validate(asyncapi)


@pytest.mark.parametrize(
    ("body", "fits"),
    [
        ({"type": "order.shipped", "data": {"order": 1}}, True),
        ({"type": "order.shipped", "data": {"order": 0}}, False),
        ({"type": "order.shipped"}, False),
        ({"type": "other", "data": [1]}, True),
    ],
)
def test_the_documented_body_is_what_is_accepted(
    shop: httpx.Client, body: dict[str, object], *, fits: bool
) -> None:
    components = shop.get("/api/openapi.json").json()["components"]
    schema = {"$ref": "#/components/schemas/PublishBody", "components": components}

    answer = shop.post("/api/events/shop:7:orders", json=body)

    assert jsonschema.Draft202012Validator(schema).is_valid(body) is fits
    assert (answer.status_code == 201) is fits


def until(lines: Iterator[str], start: str) -> list[str]:
    """The lines up to the first that begins with `start`."""
    found = []
    for line in lines:
        found.append(line)
        if line.startswith(start):
            break
    return found


def assert_named(answer: httpx.Response, field: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
