"""Pages of messages, and the links between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from infra.local.ably.messages import Message
from infra.local.ably.protocol import bad_request
from infra.local.ably.rest.request import Reply

_DEFAULT = 100
_MAX = 1_000
_AFTER = "after"


def page(found: Sequence[Message], query: Mapping[str, str], word: str) -> Reply:
    """The page of `found` that `query` asks for; `found` is given oldest first.

    Its links are relative, `./word?…`: ably-js understands no others. Raises AblyError 40000.
    """
    limit = _number(query, "limit", _DEFAULT)
    if not 0 < limit <= _MAX:
        raise bad_request(f"limit is 1 to {_MAX}")
    is_forwards = query.get("direction") == "forwards"
    ordered = [*found] if is_forwards else [*reversed(found)]
    start = _start(ordered, query.get(_AFTER))
    base = {name: value for name, value in query.items() if name not in {_AFTER, "rnd"}}
    links = [("first", base), ("current", {**query})]
    shown = ordered[start : start + limit]
    if start + limit < len(ordered):
        links.append(("next", base | {_AFTER: shown[-1]["id"]}))
    text = ", ".join(f'<./{word}?{urlencode(one)}>; rel="{rel}"' for rel, one in links)
    return Reply(200, shown, {"Link": text})


def within(found: Sequence[Message], query: Mapping[str, str]) -> list[Message]:
    """The messages from `start` to `end` (ms since 1970), and not newer than `from_serial`."""
    start, end = _number(query, "start", 0), _number(query, "end", 0)
    until = query.get("from_serial") or query.get("fromSerial")
    return [
        one
        for one in found
        if start <= one["timestamp"]
        and (not end or one["timestamp"] <= end)
        and (until is None or str(one.get("serial", "")) <= f"{until}:999")
    ]


def _start(ordered: Sequence[Message], after: str | None) -> int:
    # By id and not by number: what is published between two pages must not shift them.
    ids = [one["id"] for one in ordered] if after else []
    return ids.index(after) + 1 if after in ids else 0


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name) or str(default)
    if not text.isdecimal():
        raise bad_request(f"{name} is not a number")
    return int(text)
