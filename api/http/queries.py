"""Finds typing errors in the names of a request's query parameters.

An unknown name is ignored, because gateways, caches and SDKs add names of their own. A name that is
nearly a known one is refused: if `?cursr=` were ignored, the stream would start from now on and
events would be lost.
"""

from typing import Any
from urllib.parse import unquote_plus

from litestar import Request
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from api.events import LAST_EVENT_ID
from api.problems import MAX_FIELD_CHARS, BadRequest

TICKET = "ticket"
SHORT_CHARS = 5  # a name of so many letters or less may differ by one edit only
# What polyfills of EventSource send: event-source-polyfill and reconnecting-eventsource
# `lastEventId`, Mercure's clients `lastEventID` or `Last-Event-ID`, amvtek's `evs_last_event_id`.
SPELLINGS = frozenset({"lasteventid", "evslasteventid"})


def check_query(request: Request[Any, Any, Any]) -> None:
    """Refuse a request with a query name that is close to one that its handler takes.

    Other spellings of `lastEventId` that clients send are corrected in the request itself. Raises
    BadRequest, which names the nearest name and lists all that are taken.
    """
    query: bytes = request.scope["query_string"]
    known = _names(request.route_handler) if query else []
    if not known:
        return
    pairs = [pair.partition(b"=") for pair in query.split(b"&")]
    names = [_wanted(unquote_plus(name.decode("latin-1")), known) for name, _, _ in pairs]
    _refuse_slips(names, known)
    if LAST_EVENT_ID in names:
        respelled = LAST_EVENT_ID.encode()
        request.scope["query_string"] = b"&".join(
            (respelled if wanted == LAST_EVENT_ID else name) + mark + value
            for wanted, (name, mark, value) in zip(names, pairs, strict=True)
        )


def nearest(name: str, known: list[str]) -> str | None:
    """Return the known name that `name` was probably meant to be; None if it is close to none.

    Close is a difference of case, of `-` and `_`, or of one edit: a letter more, less, another, or
    two exchanged. For known names of more than `SHORT_CHARS` letters it may be two edits.
    """
    given = _folded(name)
    found = [(far, one) for one in known if (far := _edits(given, _folded(one))) is not None]
    return min(found)[1] if found else None


def _names(handler: Any) -> list[str]:
    """Return the names of the query parameters that a handler declares, sorted."""
    if not isinstance(handler, HTTPRouteHandler):
        return []
    declared = [field.kwarg_definition for field in handler.parsed_fn_signature.parameters.values()]
    names = [one.name for one in declared if isinstance(one, QueryParameter) and one.name]
    return sorted([*names, TICKET] if handler.opt.get("takes_ticket") else names)


def _wanted(name: str, known: list[str]) -> str:
    is_last_id = LAST_EVENT_ID in known and _folded(name) in SPELLINGS
    return LAST_EVENT_ID if is_last_id else name


def _refuse_slips(names: list[str], known: list[str]) -> None:
    slips = {one: meant for one in names if one not in known and (meant := nearest(one, known))}
    if slips:
        raise BadRequest(
            f"The query takes: {', '.join(known)}.",
            errors=[
                {"field": name[:MAX_FIELD_CHARS], "message": f"Unknown; `{meant}` is the nearest."}
                for name, meant in slips.items()
            ],
        )


def _folded(name: str) -> str:
    return name.lower().replace("_", "").replace("-", "")


def _edits(given: str, known: str) -> int | None:
    """Return how many edits lead from one to the other; None if they are too many for a slip."""
    most = 1 if len(known) <= SHORT_CHARS else 2
    # Checked first, because the client chooses how long the given name is.
    if abs(len(given) - len(known)) > most:
        return None
    before: list[int] = []
    last = list(range(len(known) + 1))
    for row, letter in enumerate(given, start=1):
        now = [row]
        for column, other in enumerate(known, start=1):
            cost = min(last[column] + 1, now[-1] + 1, last[column - 1] + (letter != other))
            is_exchanged = (
                row > 1 and column > 1 and given[row - 2 : row] == (other + known[column - 2])
            )
            now.append(min(cost, before[column - 2] + 1) if is_exchanged else cost)
        before, last = last, now
    return last[-1] if last[-1] <= most else None
