"""What a query may hold, on every route, and where a stream goes on from by a query alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute

from tests.integration.http.conftest import Api
from tests.integration.http.rows import assert_problem
from tests.support.asgi_reader import AsgiConnection
from tests.support.client import Stream

AS_JSON = {"Accept": "application/json"}


async def cursors(api: Api, count: int) -> list[str]:
    """The positions behind each of so many events of `shop:a`, after that of the beginning."""
    url, headers = "/api/events?topic=shop:a", api.bearer() | AS_JSON
    found = [(await api.client.get(url, headers=headers)).json()["cursor"]]
    for number in range(count):
        body = {"type": "tick", "data": number + 1}
        await api.client.post("/api/events/shop:a", json=body, headers=api.bearer())
        answer = await api.client.get(f"{url}&cursor={found[-1]}", headers=headers)
        found.append(answer.json()["cursor"])
    return found


async def read(api: Api, query: str, **headers: str) -> list[int]:
    answer = await api.client.get(
        f"/api/events?topic=shop:a{query}", headers=api.bearer() | AS_JSON | headers
    )
    return [event["data"] for event in answer.raise_for_status().json()["events"]]


@pytest.mark.parametrize(
    "name",
    [
        *("lastEventId", "lastEventID", "Last-Event-ID"),
        *("last-event-id", "last_event_id", "evs_last_event_id"),
    ],
)
async def test_a_reconnect_that_can_set_no_header_goes_on_by_its_query(api: Api, name: str) -> None:
    """As the polyfills of EventSource send the last id."""
    start, *_ = await cursors(api, 2)

    assert await read(api, f"&{name}={start}") == [1, 2]


async def test_the_last_id_wins_over_the_cursor_that_the_page_began_with(api: Api) -> None:
    """The URL is what the page made once; what the client appends to it is newer."""
    start, one, _ = await cursors(api, 2)

    assert await read(api, f"&cursor={start}&lastEventId={one}") == [2]
    assert await read(api, f"&lastEventId={one}&cursor={start}") == [2]


async def test_of_several_last_ids_the_one_that_was_appended_counts(api: Api) -> None:
    """A page that put its own into the URL; however each of them is spelled."""
    start, one, _ = await cursors(api, 2)

    assert await read(api, f"&last_event_id={start}&lastEventId={one}") == [2]
    assert await read(api, f"&lastEventId={start}&last-event-id={one}") == [2]


async def test_the_header_wins_over_every_query(api: Api) -> None:
    """It is what a browser itself last saw."""
    start, one, _ = await cursors(api, 2)

    query = f"&cursor={start}&lastEventId={start}"
    assert await read(api, query, **{"Last-Event-ID": one}) == [2]


async def test_an_empty_last_id_is_none(api: Api) -> None:
    """Then the cursor counts."""
    _, one, _ = await cursors(api, 2)

    assert await read(api, f"&cursor={one}&lastEventId=") == [2]


async def test_a_last_id_that_is_no_cursor_is_refused(api: Api) -> None:
    """As it is in the header."""
    answer = await api.client.get(
        "/api/events?topic=shop:a&lastEventId=7", headers=api.bearer() | AS_JSON
    )

    assert_problem(answer, 400, "invalid-cursor")


@pytest.mark.parametrize(
    "path",
    ["/api/events?topic=workspace:shop:activity", "/api/activity/workspace:shop/stream?history=0"],
)
async def test_every_stream_goes_on_by_its_query(api: Api, path: str) -> None:
    """Not only that of topics."""
    headers = api.bearer("admin")
    position = await api.client.get(
        "/api/events?topic=workspace:shop:activity", headers=headers | AS_JSON
    )
    for number in range(2):
        entry = {"verb": "did", "object": {"type": "step", "id": str(number)}}
        sent = await api.client.post("/api/activity/workspace:shop", json=entry, headers=headers)
        assert sent.status_code == 201, sent.text
    app: Any = api.instance.app
    path, _, query = path.partition("?")
    name, _, value = query.partition("=")
    pairs = [(name, value), ("lastEventId", position.json()["cursor"])]
    stream = Stream(AsgiConnection(app, path, pairs, headers))

    assert len(await stream.until_events(2)) == 2
    await stream.close()


def declared(api: Api) -> Iterator[tuple[str, HTTPRouteHandler, list[str]]]:
    """Every handler with the query names that it declares."""
    for route in api.instance.app.routes:
        for handler in route.route_handlers if isinstance(route, HTTPRoute) else ():
            fields = handler.parsed_fn_signature.parameters.values()
            kinds = [field.kwarg_definition for field in fields]
            yield (
                route.path,
                handler,
                [k.name or "" for k in kinds if isinstance(k, QueryParameter)],
            )


async def test_a_slip_in_a_query_is_refused_on_every_route(api: Api) -> None:
    """400 names the nearest name and lists all; before anything is done or looked up."""
    tried = 0
    for path, handler, names in declared(api):
        (method, *_) = handler.http_methods
        for name in names:
            slip = f"{name}{name[-1]}"
            url = f"{path}?{slip}=1".replace("{", "").replace(":str}", "")
            answer = await api.client.request(method, url, headers=api.bearer())
            told = json.dumps(answer.json())

            assert answer.status_code == 400, (url, told)
            assert name in told
            tried += 1
    assert tried > 40


async def test_the_refusal_names_the_nearest_and_lists_what_is_taken(api: Api) -> None:
    """So that the mistake is mended without the documentation."""
    answer = await api.client.get("/api/events?topic=shop:a&cursr=x", headers=api.bearer())

    problem = assert_problem(answer, 400, "bad-request")
    assert problem["errors"] == [{"field": "cursr", "message": "Unknown; `cursor` is the nearest."}]
    assert problem["detail"] == (
        "The query takes: conn, cursor, history, lastEventId, named, ticket, topic, types, wait."
    )


@pytest.mark.parametrize("name", ["_", "t", "r", "rnd", "utm_source", quote("ü"), "%ff", ""])
async def test_a_name_of_somebody_else_is_ignored(api: Api, name: str) -> None:
    """Caches, gateways and SDKs add their own."""
    assert await read(api, f"&{name}=1") == []


async def test_a_name_that_is_known_elsewhere_only_is_ignored(api: Api) -> None:
    """An event-source-polyfill sends its last id to every stream."""
    answer = await api.client.get("/api/jobs?lastEventId=1", headers=api.bearer())

    assert answer.status_code == 200
