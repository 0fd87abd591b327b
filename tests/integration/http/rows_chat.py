"""Requests of chat that are wrong, and the problem that answers each."""

from __future__ import annotations

from typing import Any

from tests.integration.http.rows import JSON, Row, bad_range

ROOMS = "/api/chat/rooms"
UNKNOWN = (404, "unknown-room")
INVALID = (422, "validation-failed")


def bad_room(rule: str, change: dict[str, Any], name: str) -> Row:
    body = {"title": "t", **change}
    return Row(f"a room {rule}", "POST", ROOMS, *INVALID, body, field=name)


def bad_member(rule: str, body: dict[str, Any], name: str) -> Row:
    return Row(f"a member {rule}", "POST", f"{ROOMS}/a/members", *INVALID, body, field=name)


def bad_name(rule: str, name: str) -> Row:
    return Row(f"a room's name {rule}", "GET", f"{ROOMS}/{name}", *INVALID, field="room")


CHAT_ROWS = [
    bad_room("without a title", {"title": ""}, "title"),
    bad_room("with a long title", {"title": "t" * 201}, "title"),
    bad_room("that is a wildcard", {"id": "*"}, "id"),
    bad_room("of two segments", {"id": "a:b"}, "id"),
    bad_room("whose id leads out of a path", {"id": ".."}, "id"),
    bad_room("whose id is lost in a path", {"id": "."}, "id"),
    bad_room("with a newline in its id", {"id": "a\n"}, "id"),
    bad_room("with a long id", {"id": "r" * 65}, "id"),
    bad_room("with an unknown role", {"joins_as": "owner"}, "joins_as"),
    bad_room("with an unknown field", {"owner": "bob"}, "owner"),
    bad_name("that is a wildcard", "*"),
    bad_name("of two segments", "a:b"),
    bad_name("with a newline", "a%0A"),
    bad_name("with NUL", "a%00"),
    bad_name("that is not ASCII", "%C3%A9"),
    bad_member("without a name", {}, "user"),
    bad_member("of no characters", {"user": ""}, "user"),
    bad_member("with a newline in the name", {"user": "a\n"}, "user"),
    bad_member("with an unknown role", {"user": "bob", "role": "owner"}, "role"),
    Row("an unknown room", "GET", f"{ROOMS}/nowhere", *UNKNOWN),
    Row("joining an unknown room", "POST", f"{ROOMS}/nowhere/join", *UNKNOWN),
    Row("members of an unknown room", "GET", f"{ROOMS}/nowhere/members", *UNKNOWN),
    Row("bans of an unknown room", "GET", f"{ROOMS}/nowhere/bans", *UNKNOWN),
    Row("a ban in an unknown room", "POST", f"{ROOMS}/nowhere/bans", *UNKNOWN, {"user": "bob"}),
    Row(
        "a ban of oneself", "POST", f"{ROOMS}/a/bans", 403, "not-allowed-in-room", {"user": "alice"}
    ),
    Row("a lifted ban of nobody", "DELETE", f"{ROOMS}/a/bans/%0A", *INVALID, field="user"),
    Row(
        "a lifted ban everywhere of nobody", "DELETE", "/api/chat/bans/%0A", *INVALID, field="user"
    ),
    Row("a ban everywhere", "POST", "/api/chat/bans", 403, "forbidden", {"user": "bob"}),
    Row("a list of who is banned everywhere", "GET", "/api/chat/bans", 403, "forbidden"),
    bad_range("limit", "0", f"{ROOMS}?scope=public"),
    bad_range("limit", "101", f"{ROOMS}/a/members"),
    bad_range("offset", "-1", f"{ROOMS}/a/members"),
    bad_range("scope", "all", ROOMS),
    bad_range("after", "a" * 65, ROOMS),
    Row(
        *("a message without data", "POST", f"{ROOMS}/a/messages", *INVALID),
        {"name": "message"},
        field="data",
    ),
    Row(
        *("a message with a newline in its name", "POST", f"{ROOMS}/a/messages", *INVALID),
        {"name": "a\nb", "data": 1},
        field="name",
    ),
    Row(
        *("a message, where there is no Ably", "POST", f"{ROOMS}/a/messages"),
        *(503, "chat-not-configured", {"data": 1}),
    ),
    Row(
        "a delivery that nobody signed", "POST", "/api/chat/webhook", 401, "webhook-unverified", {}
    ),
    Row(
        *("a delivery as msgpack", "POST", "/api/chat/webhook", 415, "unsupported-media-type"),
        *(b"\x80", {**JSON, "Content-Type": "application/x-msgpack"}),
    ),
]
