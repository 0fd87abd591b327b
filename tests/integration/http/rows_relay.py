"""Requests to relayed sources and the clock that are wrong, and the problem for each."""

from __future__ import annotations

from tests.integration.http.rows import EVENT, SSE, Row, bad_range

PRICES = "/api/relay/prices"

RELAY_ROWS = [
    Row("a source without grant", "GET", "/api/relay/secret", 403, "forbidden"),
    Row("a source that is no segment", "GET", "/api/relay/a:b", 403, "forbidden"),
    Row("a source with a wildcard", "GET", "/api/relay/*", 403, "forbidden"),
    Row("a source with a newline", "GET", f"{PRICES}%0A", 403, "forbidden"),
    Row("a source by POST", "POST", PRICES, 405, "method-not-allowed", EVENT),
    Row("publishing to a source", "POST", "/api/events/relay:prices", 403, "forbidden", EVENT),
    Row("garbage as a source's cursor", "GET", f"{PRICES}?cursor=x", 400, "invalid-cursor"),
    Row(
        *("a source as an image", "GET", PRICES, 406, "not-acceptable"),
        headers={"Accept": "image/png"},
    ),
    Row(
        *("a source with a bad `conn`", "GET", f"{PRICES}?conn=a:b", 400, "bad-request"),
        headers=SSE,
    ),
    bad_range("history", "101", PRICES),
    bad_range("wait", "26", PRICES),
    bad_range("named", "perhaps", PRICES),
    Row("the clock by POST", "POST", "/api/clock", 405, "method-not-allowed", EVENT),
]
