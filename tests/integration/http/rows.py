"""Requests that are wrong, and the problem that answers each."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import httpx

JSON = {"Content-Type": "application/json"}
SSE = {"Accept": "text/event-stream"}
EVENT = {"type": "order.shipped", "data": 1}
DEEP = 1_000_000


@dataclass(frozen=True)
class Row:
    """A request by alice, and the problem that answers it. `field` is named in `errors`."""

    rule: str
    method: str
    path: str
    status: int
    code: str
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    field: str | None = None


def bad_topic(rule: str, topic: str) -> Row:
    return Row(f"a topic {rule}", "GET", f"/api/events?topic={topic}", 400, "invalid-topic")


def bad_cursor(rule: str, cursor: str) -> Row:
    path = f"/api/events?topic=shop:a&cursor={cursor}"
    return Row(f"a cursor {rule}", "GET", path, 400, "invalid-cursor", headers=SSE)


def bad_body(rule: str, body: bytes, status: int, code: str, name: str | None = None) -> Row:
    return Row(f"a body {rule}", "POST", "/api/events/shop:a", status, code, body, JSON, name)


def bad_range(parameter: str, value: str, path: str = "/api/events?topic=shop:a") -> Row:
    mark = "&" if "?" in path else "?"
    url = f"{path}{mark}{parameter}={value}"
    return Row(f"{parameter}={value}", "GET", url, 400, "bad-request", field=parameter)


def bad_key(rule: str, key: str) -> Row:
    return Row(
        *(f"an Idempotency-Key {rule}", "POST", "/api/events/shop:a", 400, "bad-request"),
        body=EVENT,
        headers={"Idempotency-Key": key},
        field="Idempotency-Key",
    )


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


ROWS = [
    bad_topic("that is empty", ""),
    bad_topic("with a wildcard", "shop:*"),
    bad_topic("with an empty segment", "shop::a"),
    bad_topic("of nine segments", ":".join("abcdefghi")),
    bad_topic("with a long segment", "s" * 65),
    bad_topic("with a slash", "shop%2Fa"),
    bad_topic("with a newline", "shop:a%0A"),
    bad_topic("with NUL", "shop%00"),
    bad_topic("that is not ASCII", "shop:%C3%A9"),
    bad_topic("that is not UTF-8", "shop:%FF"),
    bad_topic("with a lone surrogate", "shop:%ED%A0%80"),
    Row("no topic", "GET", "/api/events", 400, "bad-request", field="topic"),
    Row(
        "51 topics",
        "GET",
        "/api/events?" + "&".join(f"topic=shop:{n}" for n in range(51)),
        400,
        "bad-request",
        field="topic",
    ),
    Row("a topic in a path", "GET", "/api/events/shop:*/history", 400, "invalid-topic"),
    Row("a topic to publish to", "POST", "/api/events/a%20b", 400, "invalid-topic", EVENT),
    bad_cursor("that is text", "not%20a%20cursor"),
    bad_cursor("of an unknown version", base64url(b"\x09\x00")),
    bad_cursor("that is cut off", base64url(b"\x01\x02abcdefgh\x01")),
    bad_cursor(
        "with a number above 64 bits", base64url(b"\x01\x01abcdefgh" + b"\xff" * 10 + b"\x00")
    ),
    bad_cursor("of 5,000 characters", "A" * 5000),
    Row(
        *("garbage as Last-Event-ID", "GET", "/api/events?topic=shop:a", 400, "invalid-cursor"),
        headers={**SSE, "Last-Event-ID": "\x7f\x01 garbage"},
    ),
    bad_body("that is missing", b"", 400, "bad-request", "body"),
    bad_body("that is cut off", b'{"type":', 400, "bad-request"),
    bad_body("with NaN", b'{"type":"a","data":NaN}', 400, "bad-request"),
    bad_body("with a number out of range", b'{"type":"a","data":1e999}', 400, "bad-request"),
    bad_body("with a lone surrogate", rb'{"type":"a","data":"\ud800"}', 400, "bad-request"),
    bad_body("that is not UTF-8", b'{"type":"a","data":"\xff"}', 400, "bad-request"),
    bad_body("with a byte order mark", b'\xef\xbb\xbf{"type":"a"}', 400, "bad-request"),
    bad_body("a million levels deep", b"[" * DEEP, 400, "bad-request"),
    bad_body(
        "65 levels deep", b'{"type":"a","data":' + b"[" * 64 + b"]" * 64 + b"}", 400, "bad-request"
    ),
    bad_body("that is an array", b"[]", 422, "validation-failed", "body"),
    bad_body("that is null", b"null", 422, "validation-failed", "body"),
    bad_body("without a type", b"{}", 422, "validation-failed", "type"),
    bad_body("with a type of a wrong kind", b'{"type":1}', 422, "validation-failed", "type"),
    bad_body("with an unknown field", b'{"type":"a","to":1}', 422, "validation-failed", "to"),
    bad_body(
        "with a newline in the type", rb'{"type":"a\nid: 1"}', 422, "validation-failed", "type"
    ),
    bad_body("with NUL in the type", rb'{"type":"a\u0000"}', 422, "validation-failed", "type"),
    bad_body("with an empty type", b'{"type":""}', 422, "validation-failed", "type"),
    bad_body(
        "with a type of 65 letters",
        b'{"type":"%s"}' % (b"a" * 65),
        422,
        "validation-failed",
        "type",
    ),
    bad_body("with the type connected", b'{"type":"connected"}', 422, "reserved-event-type"),
    bad_body("with the type reset", b'{"type":"reset"}', 422, "reserved-event-type"),
    bad_body("with the type bye", b'{"type":"bye"}', 422, "reserved-event-type"),
    bad_body("with the type open", b'{"type":"open"}', 422, "reserved-event-type"),
    bad_body("with the type error", b'{"type":"error"}', 422, "reserved-event-type"),
    bad_body(
        "with an event too large",
        json.dumps({"type": "a", "data": "x" * 70_000}).encode(),
        413,
        "payload-too-large",
    ),
    bad_body("above the limit", b" " * 1_100_000, 413, "payload-too-large"),
    *(
        Row(
            *(f"a body as {kind or 'nothing'}", "POST", "/api/events/shop:a"),
            *(415, "unsupported-media-type"),
            b'{"type":"a"}',
            {"Content-Type": kind} if kind else {},
        )
        for kind in (
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data",
            ";",
            "",
        )
    ),
    Row(
        "an empty batch",
        "POST",
        "/api/events",
        422,
        "validation-failed",
        {"events": []},
        field="events",
    ),
    Row(
        *("a batch of 101", "POST", "/api/events", 422, "validation-failed"),
        {"events": [{"topic": "shop:a", **EVENT}] * 101},
        field="events",
    ),
    Row(
        *("an item without topic", "POST", "/api/events", 422, "validation-failed"),
        {"events": [{"topic": "shop:a", **EVENT}, EVENT]},
        field="events.1.topic",
    ),
    Row(
        "a ticket for nothing",
        "POST",
        "/api/stream-tickets",
        422,
        "validation-failed",
        {"topics": []},
        field="topics",
    ),
    Row(
        "a ticket without grant",
        "POST",
        "/api/stream-tickets",
        403,
        "forbidden",
        {"topics": ["user:bob:x"]},
    ),
    bad_key("that is empty", ""),
    bad_key("with a space", "a b"),
    bad_key("of 256 characters", "k" * 256),
    bad_range("history", "101"),
    bad_range("history", "-1"),
    bad_range("history", "many"),
    bad_range("wait", "26"),
    bad_range("wait", "1.5"),
    bad_range("named", "perhaps"),
    bad_range("limit", "0", "/api/events/shop:a/history"),
    bad_range("limit", "101", "/api/events/shop:a/history"),
    Row("a bad `before`", "GET", "/api/events/shop:a/history?before=now", 400, "invalid-event-id"),
    Row(
        "a `before` above 64 bits",
        "GET",
        f"/api/events/shop:a/history?before={2**64}-0",
        400,
        "invalid-event-id",
    ),
    Row(
        "a bad `conn`", "GET", "/api/events?topic=shop:a&conn=a:b", 400, "bad-request", headers=SSE
    ),
    Row(
        "a long `conn`",
        "GET",
        f"/api/events?topic=shop:a&conn={'c' * 65}",
        400,
        "bad-request",
        headers=SSE,
    ),
    Row(
        "nothing acceptable",
        "GET",
        "/api/events?topic=shop:a",
        406,
        "not-acceptable",
        headers={"Accept": "image/png"},
    ),
    Row(
        "an Accept of garbage",
        "GET",
        "/api/events?topic=shop:a",
        406,
        "not-acceptable",
        headers={"Accept": ";q=x,,"},
    ),
    Row("reading without grant", "GET", "/api/events?topic=user:bob:inbox", 403, "forbidden"),
    Row(
        "one of two without grant",
        "GET",
        "/api/events?topic=shop:a&topic=user:bob:x",
        403,
        "forbidden",
    ),
    Row("history without grant", "GET", "/api/events/user:bob:inbox/history", 403, "forbidden"),
    Row("publishing without grant", "POST", "/api/events/public:a", 403, "forbidden", EVENT),
    Row("a token in the URL", "GET", "/api/events?topic=shop:a&token=x", 400, "bad-request"),
    Row(
        "an access token in the URL",
        "GET",
        "/api/events?topic=shop:a&access_token=x",
        400,
        "bad-request",
    ),
    Row("a token and a ticket", "GET", "/api/events?topic=shop:a&ticket=x", 400, "bad-request"),
    Row("an unknown path", "GET", "/api/nothing", 404, "not-found"),
    Row("the page, where there is none", "GET", "/", 404, "not-found"),
    Row("a path that climbs", "GET", "/../../etc/passwd", 404, "not-found"),
    Row("an unknown asset", "GET", "/api/docs/swagger-ui.js", 404, "not-found"),
    Row(
        "development sessions in production",
        "POST",
        "/api/dev/session",
        404,
        "not-found",
        {"user": "a"},
    ),
    Row("a bad Host", "GET", "/api/health/live", 400, "bad-request", headers={"Host": "a b"}),
]


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["remediation"]
    assert problem["type"] == f"urn:millrace:problem:{code}"
    assert answer.headers["cache-control"] == "no-store"
    return problem
