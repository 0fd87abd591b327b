"""The runtime loop: what an application gets of an invocation."""

from __future__ import annotations

import base64
import json
import os
from typing import Any
from urllib.parse import parse_qs

import pytest

from functions.runtime.invocation import TRACE_ID
from tests.integration.functions.serving import begin, say, serving
from tests.support.gateway_events import ADDRESS, function_url, http_api, rest_api
from tests.support.runtime_api import InvocationFailed

FORMS = [rest_api, http_api, function_url]
EVENT = function_url("/", [], {})


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the request as the application sees it."""
    message = await receive()
    context = scope["aws.context"]
    headers = {name.decode(): value.decode() for name, value in scope["headers"]}
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": scope["query_string"].decode(),
        "client": scope["client"][0],
        "header": headers.get("x-one"),
        "cookie": headers.get("cookie"),
        "body": message["body"].decode(),
        "more": message["more_body"],
        "left_ms": context.get_remaining_time_in_millis(),
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "name": context.function_name,
        "memory": context.memory_limit_in_mb,
        "trace": TRACE_ID.get(),
        "state": dict(scope["state"]),
    }
    scope["state"]["of"] = "this request alone"
    await begin(send)
    await say(send, json.dumps(seen), more=False)


@pytest.mark.parametrize("form", FORMS)
async def test_every_front_door_gives_the_same_request(form: Any) -> None:
    """Method, path, repeated parameters, headers, cookies, body."""
    query = [("topic", "a b"), ("topic", "é"), ("n", "1")]
    headers = {"x-one": "1", "cookie": "a=1; b=2"}
    event = form("/v1/ä b", query, headers, method="POST", body="täxt")
    async with serving(echo) as api:
        answer = await (await api.invoke(event)).ended()
    seen = json.loads(answer.body)

    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/v1/ä b", "täxt")
    assert parse_qs(seen["query"]) == {"topic": ["a b", "é"], "n": ["1"]}
    assert (seen["header"], seen["cookie"]) == ("1", "a=1; b=2")
    assert seen["client"] == ADDRESS
    assert seen["more"] is False


async def test_a_binary_body_comes_as_it_was_sent() -> None:
    """Gateways put it into the event as base64."""
    event = function_url("/", [], {}, method="POST")
    event |= {"body": base64.b64encode(b"\xc3\xa9").decode(), "isBase64Encoded": True}
    async with serving(echo) as api:
        answer = await (await api.invoke(event)).ended()

    assert json.loads(answer.body)["body"] == "é"


async def test_the_scope_holds_lambdas_context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the name that Mangum gives it, so that an application need not know the loop."""
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "stream")
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
    async with serving(echo) as api:
        answer = await (await api.invoke(EVENT, timeout_s=20)).ended()
    seen = json.loads(answer.body)

    assert 19_000 < seen["left_ms"] <= 20_000
    assert seen["request_id"] == answer.id
    assert seen["arn"] == "arn:aws:lambda:eu-central-1:1:function:test"
    assert (seen["name"], seen["memory"]) == ("stream", 256)


async def test_requests_share_what_the_start_up_kept_and_nothing_else() -> None:
    """Each has a copy of the lifespan's state."""
    async with serving(echo, state={"kept": 1}) as api:
        answers = []
        for _ in range(2):
            answers.append(await (await api.invoke(EVENT)).ended())
            await api.until_polled()

    assert [json.loads(one.body)["state"] for one in answers] == [{"kept": 1}] * 2


async def test_the_trace_is_where_tracing_tools_look_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In the environment while one invocation has the process to itself."""
    monkeypatch.setenv("_X_AMZN_TRACE_ID", "of an earlier one")
    async with serving(echo) as api:
        answer = await (await api.invoke(EVENT)).ended()
        traced = os.environ["_X_AMZN_TRACE_ID"]

    assert json.loads(answer.body)["trace"] == traced == f"Root=1-{answer.id[:8]}"


async def test_a_large_event_comes_whole() -> None:
    """Lambda sends it in chunks."""
    event = function_url("/", [], {}, method="POST", body="x" * 1_000_000)
    async with serving(echo) as api:
        answer = await (await api.invoke(event)).ended()

    assert len(json.loads(answer.body)["body"]) == 1_000_000


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"eventSource": "aws:sqs", "body": "{}"}]},
        {"version": "0", "detail-type": "Scheduled Event"},
        {"key1": "value1"},
        {"version": "2.0", "requestContext": {}},
        [],
        None,
    ],
)
async def test_an_event_that_is_no_request_fails_and_the_loop_goes_on(event: Any) -> None:
    """A queue or a schedule wired to it by mistake shows as errors of the function."""
    async with serving(echo) as api:
        with pytest.raises(InvocationFailed) as failed:
            await (await api.invoke(event)).ended()
        answer = await (await api.invoke(EVENT)).ended()

    kind, report = failed.value.args
    assert kind == report["errorType"] == "Function.NotHttpEvent"
    assert answer.prelude["statusCode"] == 200
