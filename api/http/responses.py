"""Answers every failure with problem+json (RFC 9457), whatever raised it; answers OPTIONS too."""

import re
from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ASGIApp, ExceptionHandlersMap, Receive, Scope, Send
from pydantic import ValidationError

from api.events import one_message, sse
from api.foreign_code import contained
from api.problem_json import answer_of
from api.problems import (
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
    field_errors,
)
from api.upstash import RedisError

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]

INTERNAL = 500
MISSING = re.compile(r"Missing required \w+ parameter '([\w-]+)'")
OF_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}


def problem(request: AnyRequest, error: ApiError) -> Response[Any]:
    """Build the problem document that answers with `error`; it holds the id of the request."""
    ref = request.scope["state"].get("request_id")
    headers, body = answer_of(error, ref=ref)
    return Response(body, status_code=error.status, headers=headers)


def _ours(request: AnyRequest, error: ApiError) -> Response[Any]:
    if error.status == StoreUnavailable.status and _is_event_source(request):
        # With 200 and not 503, because the failure will pass: on any other status an EventSource
        # closes for good.
        pause_ms = request.app.state.services.streaming.pause_ms()
        return one_message(sse.come_back(pause_ms, error.code))
    return problem(request, error)


def _is_event_source(request: AnyRequest) -> bool:
    # Known by `Accept` and not by path, because features have streams of their own.
    return request.method == "GET" and sse.MEDIA_TYPE in request.headers.get("accept", "")


def _store(request: AnyRequest, error: RedisError) -> Response[Any]:
    log.warning("store.failed", error=type(error).__name__)
    return _ours(request, StoreUnavailable())


def _framework(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Answer Litestar's own refusals, with field names only: its details may quote the input."""
    if wrong := _cause_in_body(error):
        return problem(request, ValidationFailed(errors=field_errors(wrong)))
    if isinstance(error, ValidationException):
        return problem(request, BadRequest(errors=_offences(request, error)))
    if error.status_code >= INTERNAL and not _is_gone(error):
        return _unexpected(request, error)
    ours = OF_STATUS.get(error.status_code, BadRequest)()
    if allow := next((v for k, v in (error.headers or {}).items() if k.lower() == "allow"), None):
        ours.headers["Allow"] = allow
    return problem(request, ours)


def _cause_in_body(error: BaseException | None) -> ValidationError | None:
    """Return the pydantic error about the body, if any. Litestar's summary leaves out fields."""
    while error is not None and not isinstance(error, ValidationError):
        error = error.__cause__
    return error


def _is_gone(error: HTTPException) -> bool:
    """Return whether the client left while it was still sending, which is no failure of ours."""
    return error.detail == "client disconnected prematurely"


def _offences(request: AnyRequest, error: ValidationException) -> list[dict[str, str]]:
    if missing := MISSING.match(error.detail):
        return [{"field": missing[1], "message": "This parameter is missing."}]
    extra = error.extra if isinstance(error.extra, list) else []
    return [
        {"field": _wire_name(request, one.get("key", "")), "message": _spoken(one)} for one in extra
    ]


def _wire_name(request: AnyRequest, name: str) -> str:
    """Return the name that callers know for the handler's parameter `name`."""
    if name == "data":
        return "body"
    field = request.route_handler.parsed_fn_signature.parameters.get(name)
    return getattr(field and field.kwarg_definition, "name", None) or name


def _spoken(offence: dict[str, Any]) -> str:
    return str(offence["message"]) if offence.get("key") != "data" else "A body is needed."


def _unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    log.error("request.failed", exc_info=error)
    return problem(request, ApiError())


def containing(app: ASGIApp) -> ASGIApp:
    """Wrap `app` so that whatever code of an extension raises becomes an `Exception`.

    A model or a rule may raise `SystemExit` or `CancelledError`, which no exception handler
    answers.
    """

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with contained():
            await app(scope, receive, send)

    return run


async def before_request(request: AnyRequest) -> Response[None] | None:
    """Answer OPTIONS, and return None for every other request, which then goes to its handler.

    Raises BadRequest for a query that is not ASCII, which no URL can have.
    """
    # Litestar decodes the query as UTF-8 without a check, and would fail on other bytes.
    if not request.scope["query_string"].isascii():
        raise BadRequest("The query must be percent-encoded.")
    return await answer_options(request)


async def answer_options(request: AnyRequest) -> Response[None] | None:
    """Answer an OPTIONS request with the methods of its path in `Allow`; None for other requests.

    Litestar's own answer names only the methods of one handler.
    """
    # A coroutine, although it awaits nothing: Litestar runs plain functions in a thread.
    if request.method != "OPTIONS":
        return None
    path = request.scope["path_template"]
    methods = {
        method for route in request.app.routes if route.path == path for method in route.methods
    }
    return Response(None, status_code=204, headers={"Allow": ", ".join(sorted(methods))})


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    ApiError: _ours,
    RedisError: _store,
    HTTPException: _framework,
    Exception: _unexpected,
}
