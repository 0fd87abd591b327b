"""The REST API as SDKs of both languages, and of browsers, expect it."""

from __future__ import annotations

from typing import Any

import httpx
import msgpack
import pytest

from tests.integration.local_ably.conftest import Dial, Token, bearer
from tests.support.ably_server import AblyServer

MESSAGES = "/channels/room:1/messages"


async def names(rest: httpx.AsyncClient, **query: Any) -> list[str]:
    return [one["name"] for one in (await rest.get(MESSAGES, params=query)).json()]


async def test_a_publish_is_kept_once_however_often_it_is_sent(rest: httpx.AsyncClient) -> None:
    """The id tells a repeat, which is answered with the serial of the first."""
    first = await rest.post(MESSAGES, json={"id": "x:0", "name": "a"})
    again = await rest.post(MESSAGES, json={"id": "x:0", "name": "a"})

    assert first.status_code == again.status_code == 201
    assert first.json()["serials"] == again.json()["serials"]
    assert await names(rest) == ["a"]


async def test_links_are_relative_to_the_last_segment_of_the_path(
    rest: httpx.AsyncClient,
) -> None:
    """ably-js understands no other links. New messages do not shift the pages."""
    for name in "abc":
        await rest.post(MESSAGES, json={"name": name})
    page = await rest.get(MESSAGES, params={"limit": 2})
    await rest.post(MESSAGES, json={"name": "late"})
    following = page.links["next"]["url"]

    assert [one["name"] for one in page.json()] == ["c", "b"]
    assert following.startswith("./messages?")
    rest_of_it = await rest.get(f"/channels/room:1/{following.removeprefix('./')}")
    assert [one["name"] for one in rest_of_it.json()] == ["a"]
    assert "next" not in rest_of_it.links


async def test_history_is_bounded_by_time_and_by_an_attach_point(rest: httpx.AsyncClient) -> None:
    """`start` and `end` are in ms; `from_serial` includes the message with that serial."""
    for name in "abc":
        await rest.post(MESSAGES, json={"name": name})
    kept = (await rest.get(MESSAGES, params={"direction": "forwards"})).json()
    middle = kept[1]["serial"].rpartition(":")[0]

    assert await names(rest, from_serial=middle) == ["b", "a"]
    assert await names(rest, start=kept[0]["timestamp"]) == ["c", "b", "a"]
    assert await names(rest, end=kept[0]["timestamp"] - 1) == []


@pytest.mark.parametrize("name", ["a/b", "a?b", "a#b:ä", "a%2Fb"])
async def test_channel_names_are_split_before_they_are_decoded(
    rest: httpx.AsyncClient, name: str
) -> None:
    """A slash in a name does not divide the path."""
    quoted = "".join(f"%{byte:02X}" for byte in name.encode())

    answer = await rest.post(f"/channels/{quoted}/messages", json={"name": "x"})

    assert answer.json()["channel"] == name


async def test_msgpack_and_json_say_the_same(rest: httpx.AsyncClient) -> None:
    """Bytes are bytes in one and base64 in the other; objects are JSON text in both."""
    form = "application/x-msgpack"
    body = msgpack.packb([{"data": b"\x00\xff"}, {"data": {"a": 1}}])
    sent = await rest.post(MESSAGES, content=body, headers={"content-type": form, "accept": form})
    texts = (await rest.get(MESSAGES)).json()
    packed = msgpack.unpackb((await rest.get(MESSAGES, headers={"accept": form})).content)

    assert len(msgpack.unpackb(sent.content)["serials"]) == 2
    assert [(one["data"], one["encoding"]) for one in texts] == [
        ('{"a":1}', "json"),
        ("AP8=", "base64"),
    ]
    assert [one["data"] for one in packed] == ['{"a":1}', b"\x00\xff"]


async def test_the_size_field_of_ably_js_is_not_passed_on_and_nothing_is_null(
    rest: httpx.AsyncClient,
) -> None:
    """A client cannot set its serial, timestamp or connection either."""
    body = {"name": "a", "size": 7, "data": None, "serial": "1", "connectionId": "c"}
    await rest.post(MESSAGES, json=body)
    [message] = (await rest.get(MESSAGES)).json()

    assert not {"size", "data", "connectionId"} & message.keys()
    assert message["serial"] != "1"
    assert None not in message.values()


async def test_ephemeral_messages_are_heard_but_not_kept(
    rest: httpx.AsyncClient, dial: Dial
) -> None:
    """Typing and reactions in a chat matter only at once."""
    socket = await dial()
    await socket.ask(10, 11, channel="room:1")

    await rest.post(MESSAGES, json={"name": "typing", "extras": {"ephemeral": True}})

    assert (await socket.hear(15))["messages"][0]["name"] == "typing"
    assert await names(rest) == []


async def test_messages_beyond_64_kib_are_refused(rest: httpx.AsyncClient) -> None:
    answer = await rest.post(MESSAGES, json={"data": "x" * 65_537})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 40009)


@pytest.mark.parametrize("body", [b"{", b"1", b"[]", b'["x"]', b"\xff", b'{"name":1}'])
async def test_what_is_no_message_is_40000(rest: httpx.AsyncClient, body: bytes) -> None:
    """It is an answer, not a traceback."""
    answer = await rest.post(MESSAGES, content=body, headers={"content-type": "application/json"})

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, 40000)


async def test_half_a_surrogate_pair_harms_nobody(rest: httpx.AsyncClient) -> None:
    """JSON can hold it and UTF-8 cannot, so it is replaced."""
    headers = {"content-type": "application/json"}
    sent = await rest.post(MESSAGES, content=b'{"name":"\\ud800"}', headers=headers)

    assert sent.status_code == 201
    assert await names(rest) == ["?"]


async def test_errors_are_application_json_and_nothing_more(rest: httpx.AsyncClient) -> None:
    """ably-js in Node compares the header literally; the Python SDK needs the statusCode."""
    answer = await rest.get("/nothing")

    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-ably-errorcode"] == "40400"
    assert answer.json()["error"]["statusCode"] == 404


async def test_browsers_get_an_envelope_and_credentialed_cors(rest: httpx.AsyncClient) -> None:
    """The status is inside a 200. A page sees the answer only if its origin is named."""
    origin = {"origin": "http://page.test"}
    wanted = {"access-control-request-headers": "authorization, x-ably-version"}
    preflight = await rest.options(MESSAGES, headers=origin | wanted)
    await rest.post(MESSAGES, json=[{"name": "a"}, {"name": "b"}])
    query: dict[str, str | int] = {"envelope": "json", "limit": 1, "rnd": "1"}
    answer = await rest.get(MESSAGES, params=query, headers=origin)
    failure = await rest.get("/nothing", params=query, headers=origin)

    assert preflight.headers["access-control-allow-headers"] == "authorization, x-ably-version"
    for one in (preflight, answer, failure):
        assert one.headers["access-control-allow-origin"] == "http://page.test"
        assert one.headers["access-control-allow-credentials"] == "true"
    enveloped = answer.json()
    assert (answer.status_code, enveloped["statusCode"]) == (200, 200)
    assert 'rel="next"' in enveloped["headers"]["Link"]
    assert "rnd" not in enveloped["headers"]["Link"].partition('rel="next"')[0].rpartition("<")[2]
    assert (failure.status_code, failure.json()["statusCode"]) == (200, 404)


async def test_a_batch_answers_for_each_channel(ably: AblyServer, token: Token) -> None:
    """A failure on one does not stop the others. Before version 3 the answer was a flat list."""
    headers = bearer(token(capability='{"a":["publish","subscribe"]}'))
    body = {"channels": ["a", "b"], "messages": [{"name": "x"}]}
    with httpx.Client(base_url=ably.url, headers=headers) as http:
        [summed] = http.post("/messages", json=body, headers={"x-ably-version": "3"}).json()
        flat = http.post("/messages", json=body, headers={"x-ably-version": "2"}).json()
        present = http.get("/presence", params={"channels": "a,b"}).json()

    assert (summed["successCount"], summed["failureCount"]) == (1, 1)
    assert summed["results"][1]["error"]["code"] == 40160
    assert [one["channel"] for one in flat] == ["a", "b"]
    assert present["results"][0] == {"channel": "a", "presence": []}


async def test_status_counts_who_is_there(rest: httpx.AsyncClient, dial: Dial) -> None:
    """The list of channels names those that were used."""
    socket = await dial(clientId="alice")
    await socket.ask(10, 11, channel="room:1")
    await socket.ask(14, 1, channel="room:1", msgSerial=0, presence=[{"action": 2}])

    status = (await rest.get("/channels/room:1")).json()
    listed = (await rest.get("/channels", params={"prefix": "room:", "by": "id"})).json()

    assert status["status"]["occupancy"]["metrics"] == {
        "connections": 1,
        "publishers": 1,
        "subscribers": 1,
        "presenceConnections": 1,
        "presenceMembers": 1,
        "presenceSubscribers": 1,
    }
    assert listed == ["room:1"]


async def test_a_publish_on_behalf_of_a_connection_is_taken_for_its_own(
    rest: httpx.AsyncClient, dial: Dial
) -> None:
    """A connection without echo does not hear it."""
    quiet, other = await dial(echo="false"), await dial()
    connected = await quiet.hear(4)
    key = connected["connectionDetails"]["connectionKey"]
    await quiet.ask(10, 11, channel="room:1")
    await other.ask(10, 11, channel="room:1")

    await rest.post(MESSAGES, json={"name": "own", "connectionKey": key})
    await rest.post(MESSAGES, json={"name": "other"})

    own = (await other.hear(15))["messages"][0]
    assert (own["name"], own["connectionId"]) == ("own", connected["connectionId"])
    assert (await quiet.hear(15))["messages"][0]["name"] == "other"
    refused = await rest.post(MESSAGES, json={"connectionKey": "none!x"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, 40006)


async def test_an_error_that_names_a_channel_reaches_the_client(
    ably: AblyServer, token: Token
) -> None:
    """A header holds ASCII only. A failure to write it would be a 500, which SDKs repeat."""
    headers = bearer(token(capability='{"other":["*"]}'))

    answer = httpx.get(f"{ably.url}/channels/r%C3%A4um%E2%82%AC%0A/messages", headers=headers)

    assert (answer.status_code, answer.json()["error"]["code"]) == (401, 40160)
    assert answer.headers["x-ably-errormessage"].endswith("r?um??")


async def test_injected_failures_are_500_as_often_as_asked(
    ably: AblyServer, rest: httpx.AsyncClient
) -> None:
    """The controls themselves do not fail."""
    ably.faults(http_errors=2)

    statuses = [(await rest.get("/time")).status_code for _ in range(3)]

    assert statuses == [500, 500, 200]
