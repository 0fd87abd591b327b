"""Requests of feeds and notifications that are wrong, and the problem that answers each."""

from __future__ import annotations

from typing import Any

from tests.integration.http.rows import Row, bad_range, base64url

DOCUMENT = {"type": "document", "id": "42"}
NOTIFICATION = {"to": "all", "title": "t"}
INBOX = "/api/notifications"


def bad_list_cursor(rule: str, path: str, cursor: str) -> Row:
    return Row(
        f"a cursor {rule} at {path}", "GET", f"{path}?cursor={cursor}", 400, "invalid-cursor"
    )


def bad_action(rule: str, change: dict[str, Any], name: str) -> Row:
    body = {"verb": "edited", "object": DOCUMENT, **change}
    path = "/api/activity/workspace:42"
    return Row(f"an activity {rule}", "POST", path, 422, "validation-failed", body, field=name)


def bad_notification(rule: str, change: dict[str, Any], name: str) -> Row:
    body = {**NOTIFICATION, **change}
    return Row(f"a notification {rule}", "POST", INBOX, 422, "validation-failed", body, field=name)


def bad_reading(rule: str, body: Any, name: str | None) -> Row:
    path = f"{INBOX}/read"
    return Row(f"reading {rule}", "POST", path, 422, "validation-failed", body, field=name)


FEED_ROWS = [
    *(
        Row(f"the feed {feed}", "GET", f"/api/activity/{feed}", 400, "invalid-topic")
        for feed in ("shop", "workspace", "workspace:*", "public:a", "a%20b")
    ),
    Row("a feed without grant", "GET", "/api/activity/workspace:42", 403, "forbidden"),
    Row("a feed's stream without grant", "GET", "/api/activity/user:bob/stream", 403, "forbidden"),
    Row(
        "an activity without grant",
        "POST",
        "/api/activity/user:alice",
        403,
        "forbidden",
        {"verb": "edited", "object": DOCUMENT},
    ),
    bad_action("without a verb", {"verb": None}, "verb"),
    bad_action("with a verb in capitals", {"verb": "EDITED"}, "verb"),
    bad_action("without an object", {"object": None}, "object"),
    bad_action(
        "with a link that runs",
        {"object": {**DOCUMENT, "link": "javascript:alert(1)"}},
        "object.link",
    ),
    bad_action(
        "with a link that leaves the site",
        {"object": {**DOCUMENT, "link": "//evil.example"}},
        "object.link",
    ),
    bad_action("with an actor without a name", {"actor": ""}, "actor"),
    bad_action("with an unknown field", {"when": 1}, "when"),
    bad_range("limit", "0", "/api/activity/user:alice"),
    bad_range("limit", "101", "/api/activity/user:alice"),
    bad_range("history", "101", "/api/activity/user:alice/stream"),
    bad_list_cursor("that is text", "/api/activity/user:alice", "not%20a%20cursor"),
    bad_list_cursor("of another list", "/api/activity/user:alice", base64url(b"\x01\x00")),
    bad_list_cursor("of a stream", "/api/activity/user:alice/stream", "garbage!"),
]

NOTIFICATION_ROWS = [
    Row("notifying all without grant", "POST", INBOX, 403, "forbidden", NOTIFICATION),
    Row(
        *("notifying another without grant", "POST", INBOX, 403, "forbidden"),
        {**NOTIFICATION, "to": ["alice", "bob"]},
    ),
    Row(
        *("a bad key for a notification", "POST", INBOX, 400, "bad-request", NOTIFICATION),
        headers={"Idempotency-Key": "a b"},
        field="Idempotency-Key",
    ),
    bad_notification("to one by name", {"to": "alice"}, "to.all"),
    bad_notification("to nobody", {"to": []}, "to.users"),
    bad_notification("to a name with a newline", {"to": ["a\n"]}, "to.users.0"),
    bad_notification("to an empty name", {"to": ["alice", ""]}, "to.users.1"),
    bad_notification("to 101 users", {"to": ["u"] * 101}, "to.users"),
    bad_notification("without a title", {"title": ""}, "title"),
    bad_notification("with a long title", {"title": "t" * 201}, "title"),
    bad_notification("with a long body", {"body": "b" * 4001}, "body"),
    bad_notification("of an unknown level", {"level": "fatal"}, "level"),
    bad_notification("with a link that runs", {"link": "javascript:alert(1)"}, "link"),
    bad_notification("with a link in disguise", {"link": "/\\evil.example"}, "link"),
    bad_notification("with data in the link", {"link": "data:text/html,x"}, "link"),
    bad_notification("with an unknown field", {"user": "bob"}, "user"),
    bad_reading("nothing", {}, "body"),
    bad_reading("both ways", {"ids": ["public:notifications/1-1"], "up_to": "x"}, "body"),
    bad_reading("an empty list", {"ids": []}, "ids"),
    bad_reading("what is no id", {"ids": ["1-1"]}, "ids.0"),
    bad_reading("101 at once", {"ids": ["public:notifications/1-1"] * 101}, "ids"),
    Row(
        *("reading up to garbage", "POST", f"{INBOX}/read", 400, "invalid-cursor"),
        {"up_to": "no cursor"},
    ),
    Row(
        *("reading up to another stream's", "POST", f"{INBOX}/read", 400, "invalid-cursor"),
        {"up_to": base64url(b"\x01\x01abcdefgh\x01\x00")},
    ),
    Row(
        *("reading an id above 64 bits", "POST", f"{INBOX}/read", 400, "invalid-event-id"),
        {"ids": [f"public:notifications/{2**64}-0"]},
    ),
    *(
        Row(f"{method} of {name}", method, f"{INBOX}/{name}", status, code)
        for name, status, code in (
            ("public:notifications/1-1", 404, "not-found"),
            ("user:alice:notifications/1-1", 404, "not-found"),
            ("user:bob:notifications/1-1", 404, "not-found"),
            ("public:notifications/now", 400, "invalid-event-id"),
        )
        for method in ("DELETE", "POST")
        for name in ([name] if method == "DELETE" else [f"{name}/read"])
    ),
    bad_range("limit", "0", INBOX),
    bad_range("limit", "101", INBOX),
    bad_range("unread", "perhaps", INBOX),
    bad_range("unread", "101", f"{INBOX}/stream"),
    bad_list_cursor("that is text", INBOX, "no!"),
    bad_list_cursor("of another list", INBOX, base64url(b"\x01\x01abcdefgh\x01\x00")),
    bad_list_cursor("that is text", f"{INBOX}/stream", "no!"),
]
