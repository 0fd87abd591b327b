"""What a client can write: texts that parsers are known to fail on, and requests made of them."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from hypothesis import strategies as st

from tests.integration.http.conftest import SECRET

DEPTHS = (65, 1000, 100_000)
LONG_NUMBER = b"9" * 5000  # more digits than Python's int() takes


def base64url(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def _json(made: Any) -> bytes:
    return json.dumps(made).encode("utf-8", "surrogatepass")


def _headed(header: bytes) -> bytes:
    return base64url(header) + b".e30.x"


def _signed(claims: Mapping[str, Any] | bytes) -> bytes:
    payload = claims if isinstance(claims, bytes) else json.dumps(claims).encode()
    return jwt.PyJWS().encode(payload, SECRET, "HS256", headers={"typ": "JWT"}).encode()


_ALICE = {"sub": "alice", "exp": time.time() + 600}
TOKENS = [
    *(_headed(b'{"alg":' + b"[" * depth + b"]" * depth + b"}") for depth in (1000, 2500)),
    _headed(b'{"alg":"RS256","kid":"\\ud800"}'),
    _headed(b'{"alg":"HS256","kid":' + LONG_NUMBER + b"}"),
    _headed(b"\xff\xfe"),
    _signed(b'{"sub":"alice","exp":1' + b"0" * 400 + b"}"),
    _signed(b'{"sub":"alice","exp":' + LONG_NUMBER + b"}"),
    _signed(b'{"sub":"alice","exp":1e308}'),
    _signed(b'{"sub":"alice","exp":1e999}'),
    _signed(b'{"sub":"\\ud800","exp":9999999999}'),
    _signed(b'{"sub":"alice","exp":9999999999,"x":' + b"[" * 2500 + b"]" * 2500 + b"}"),
    _signed({**_ALICE, "iat": -(10**400)}),
    _signed({**_ALICE, "sub": "\u202ea\x00"}),
    _signed({**_ALICE, "roles": ["admin", "\x00"], "grants": {"read": ["*:" * 9]}}),
    *(b"", b".", b"..", b"a.b.c", b"....", b"\xff.\xff.\xff", b"=.=.="),
]
TEXTS = [
    *(b"", b" ", b"0", b"-1", b"+1", b"1_0", b" 1 ", b"01", b"1.5", b"1e999", b"nan", b"-inf"),
    *(LONG_NUMBER, b"-" + LONG_NUMBER, b"18446744073709551616", b"0x10", "٣²".encode()),
    *(b"\x00", b"\xff", b"\xed\xa0\x80", b"\xc3", "é".encode("latin-1"), "😀".encode()),
    *(b"%", b"%zz", b"%ff", b"%00", b"%ed%a0%80", b"%C3%A9", b"%2F..%2F", b"a;b=c", b"&&==", b"+"),
    *(b"*", b"a:b", b"**", b"~40", b"~sha256.", b"user:*:**", b"a" * 65, b":" * 20, b"/" * 20),
    *(b"[" * depth for depth in (65, 5000)),
    *(b'"', b'W/"', b'"a", W/"b"', b"*,*", b",,,", b";", b"=", b";;;=;", b'a="', b"a=\\"),
    *(b"text/event-stream", b"application/json;q=" + LONG_NUMBER, b"*/*;q=nan", b"/", b"a/b/c;q"),
    *(b"wait=" + LONG_NUMBER, b"wait=-1", b"wait=1e9", b"respond-async, wait=0", b'wait="'),
    *(b"bytes=0-", b"bytes=-" + LONG_NUMBER, b"bytes=9-1,,", b"lines=1"),
    *(b"Sun, 31 Feb 99999 99:99:99 GMT", b"Thu, 01 Jan 1970 00:00:00 +9999", b"1763650000000-0"),
    *(b"1" * 21 + b"-" + b"9" * 21, b"0-0", b"9223372036854775807-9223372036854775807"),
    *(
        b"[::1",
        b"[::1]:x",
        b"1.2.3.4:99999, ::ffff:1.2.3.4",
        b"::1%eth0",
        b"http://[",
        b"http://a:b",
    ),
    *(base64url(bytes((1, count)) + b"\xff" * 40) for count in (0, 1, 50, 255)),
    *(
        base64url(b"\x01\x01" + b"h" * 8 + number * 2)
        for number in (b"\xff" * 8 + b"\x7f", b"\x01")
    ),
]
BODIES = [
    *(b"[" * depth + b"]" * depth for depth in DEPTHS),
    *(b'{"a":' * depth + b"1" + b"}" * depth for depth in DEPTHS),
    *(b'{"type":"t","data":' + b"[" * depth + b"]" * depth + b"}" for depth in (60, *DEPTHS)),
    b'{"type":"t","data":' + LONG_NUMBER + b"}",
    b'{"type":"t","data":-1' + b"0" * 400 + b"}",
    b'{"type":"t","data":[1e308,1e999,-0.0,1e-999]}',
    rb'{"type":"t","data":"\ud800"}',
    rb'{"type":"\ud800","data":"\udfff\ud800"}',
    b'{"type":"t","type":"u","data":1,"data":2}',
    b'{"type":"t","data":"\xed\xa0\x80"}',
    b'\xef\xbb\xbf{"type":"t"}',
    '{"type":"t"}'.encode("utf-16"),
    *(
        b"",
        b"null",
        b"{}",
        b"[]",
        b'""',
        b"1",
        b"{",
        b"NaN",
        b"\x00",
        b"a=1&rooms=%ff&ttl=" + LONG_NUMBER,
    ),
    b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n',
]
CONTENT_TYPES = [
    *(
        b"application/json",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
    ),
    *(
        b"multipart/form-data",
        b"application/json; charset=x",
        b"application/msgpack",
        b"\xff",
        b"/;=",
    ),
]
HEADERS = [
    *(b"accept", b"accept-encoding", b"accept-language", b"access-control-request-headers"),
    *(
        b"access-control-request-method",
        b"content-encoding",
        b"content-length",
        b"cookie",
        b"expect",
    ),
    *(b"forwarded", b"host", b"idempotency-key", b"if-match", b"if-modified-since"),
    *(b"if-none-match", b"if-unmodified-since", b"last-event-id", b"origin", b"prefer", b"range"),
    *(
        b"referer",
        b"retry-after",
        b"traceparent",
        b"user-agent",
        b"x-ably-key",
        b"x-ably-signature",
    ),
    *(b"x-forwarded-for", b"x-forwarded-proto", b"x-request-id", b"x-webhook-secret"),
]
FIELDS = [
    *("topic", "cursor", "types", "named", "history", "wait", "conn", "limit", "before", "ticket"),
    *("unread", "since", "offset", "after", "scope", "rooms", "format", "ttl", "status", "feed"),
    *("type", "data", "input", "to", "title", "body", "link", "ids", "up_to", "user", "role", "id"),
    *("topics", "events", "items", "name", "items", "source", "channel", "messages", "presence"),
    *("verb", "object", "actor", "details", "level", "grants", "roles", "ttl_s", "timestamp"),
]

SAMPLES: dict[str, dict[str, Any]] = {
    "/api/events/{topic}": {"type": "order.shipped", "data": {"a": 1}},
    "/api/events": {"events": [{"topic": "shop:a", "type": "t", "data": 1}]},
    "/api/stream-tickets": {"topics": ["shop:a"]},
    "/api/notifications": {"to": ["alice"], "title": "t", "link": "/a", "data": None},
    "/api/notifications/read": {"ids": ["user:alice:notifications/1-1"]},
    "/api/activity/{feed}": {"verb": "did", "object": {"type": "a", "id": "b"}, "details": {}},
    "/api/chat/rooms": {"id": "lobby", "title": "Lobby", "is_public": True, "joins_as": "member"},
    "/api/chat/rooms/{room}/members": {"user": "auth0|1", "role": "reader"},
    "/api/chat/rooms/{room}/messages": {"name": "message", "data": "hi @alice"},
    "/api/chat/rooms/{room}/bans": {"user": "bob"},
    "/api/chat/bans": {"user": "bob"},
    "/api/jobs": {"type": "checksums", "input": {"items": [{"name": "a", "content": "x"}]}},
    "/api/dev/session": {"user": "auth0|1", "roles": ["admin"], "ttl_s": 60},
}

text = st.one_of(
    st.sampled_from(TEXTS),
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda written: written.encode("utf-8", "surrogatepass")),
)
# What a server passes on: no line breaks, no NUL.
header = text.filter(lambda raw: not set(raw) & {0, 10, 13})
scalar = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    st.sampled_from(TEXTS).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.sampled_from([10**400, -(10**30), 2**63, 2**64, 1e308]),
)
value = st.recursive(
    scalar,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=5), inner, max_size=4)
    ),
    max_leaves=8,
)
document = st.dictionaries(st.sampled_from(FIELDS), value, max_size=6).map(_json)
token = st.sampled_from(TOKENS) | text


@dataclass(frozen=True)
class Asked:
    """A request as a server hands it on."""

    method: str
    path: bytes
    query: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes


def requests(
    routes: Sequence[tuple[str, str]], good: Mapping[str, bytes]
) -> st.SearchStrategy[Asked]:
    """Requests of `routes` (method and template); mostly with the good credential `good`."""
    credential = st.one_of(
        *[st.just([(b"authorization", good["authorization"])])] * 4,
        token.map(lambda made: [(b"authorization", b"Bearer " + made)]),
        token.map(lambda made: [(b"cookie", b"millrace_session=" + made)]),
        header.map(lambda made: [(b"authorization", made)]),
    ).map(lambda pairs: [(name, made) for name, made in pairs if not set(made) & {0, 10, 13}])
    others = st.lists(st.tuples(st.sampled_from(HEADERS), header), max_size=4)
    kind = st.sampled_from(CONTENT_TYPES[:1] * 4 + CONTENT_TYPES).map(
        lambda made: [(b"content-type", made)]
    )
    pair = st.tuples(st.sampled_from(FIELDS), text).map(
        lambda made: made[0].encode() + b"=" + made[1]
    )
    query = st.lists(pair, max_size=4).map(b"&".join) | text
    segment = text.filter(lambda raw: b"/" not in raw)

    def body(template: str) -> st.SearchStrategy[bytes]:
        any_body = st.sampled_from(BODIES) | document | st.binary(max_size=30)
        sample = SAMPLES.get(template)
        if sample is None:
            return any_body
        changes = st.dictionaries(st.sampled_from(sorted(sample)), value, max_size=2)
        return changes.map(lambda made: _json({**sample, **made})) | any_body

    def build(route: tuple[str, str]) -> st.SearchStrategy[Asked]:
        method, template = route
        return st.builds(
            Asked,
            method=st.just(method),
            path=_path(template, segment),
            query=query,
            headers=st.tuples(credential, kind, others).map(
                lambda made: [*made[0], *made[1], *made[2]]
            ),
            body=body(template),
        )

    return st.sampled_from(list(routes)).flatmap(build)


def _path(template: str, segment: st.SearchStrategy[bytes]) -> st.SearchStrategy[bytes]:
    parts = [
        st.sampled_from([b"shop:a", b"lobby", b"user:alice", b"1763650000000-0"]) | segment
        if part.startswith("{")
        else st.just(part.encode())
        for part in template.split("/")
    ]
    return st.tuples(*parts).map(b"/".join)
