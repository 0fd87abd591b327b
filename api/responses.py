"""Every failure as problem+json, whoever raised it."""

from typing import Any

import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from api.problems import (
    PROBLEM_MEDIA_TYPE,
    ApiError,
    BadRequest,
    MethodNotAllowed,
    NotFound,
    PayloadTooLarge,
    StoreUnavailable,
    UnsupportedMediaType,
    ValidationFailed,
    render,
)
from api.upstash import RedisError

log = structlog.get_logger()

AnyRequest = Request[Any, Any, Any]

OF_STATUS: dict[int, type[ApiError]] = {
    400: BadRequest,
    404: NotFound,
    405: MethodNotAllowed,
    413: PayloadTooLarge,
    415: UnsupportedMediaType,
}


def problem(request: AnyRequest, error: ApiError) -> Response[Any]:
    """The answer that tells the caller of `error`."""
    ref = request.scope["state"].get("request_id")
    return Response(
        render(error, ref=ref),
        status_code=error.status,
        media_type=PROBLEM_MEDIA_TYPE,
        headers={"Cache-Control": "no-store", **error.headers},
    )


def _ours(request: AnyRequest, error: ApiError) -> Response[Any]:
    return problem(request, error)


def _store(request: AnyRequest, error: RedisError) -> Response[Any]:
    log.warning("store.failed", error=type(error).__name__)
    return problem(request, StoreUnavailable())


def _framework(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """Litestar's own refusals. Its details may quote the input, so only field names are kept."""
    if isinstance(error, ValidationException):
        return problem(request, _invalid(error))
    kind = OF_STATUS.get(error.status_code, ApiError if error.status_code >= 500 else BadRequest)  # noqa: PLR2004
    ours = kind()
    if allow := (error.headers or {}).get("Allow"):
        ours.headers["Allow"] = allow
    return problem(request, ours)


def _invalid(error: ValidationException) -> ApiError:
    extra = [one for one in error.extra if isinstance(one, dict)] if error.extra else []
    errors = [
        {"field": str(one.get("key", "body")), "message": str(one.get("message", "not valid"))}
        for one in extra
    ]
    is_body = any(one.get("source") == "body" for one in extra)
    return ValidationFailed(errors=errors) if is_body else BadRequest(errors=errors)


def _unexpected(request: AnyRequest, error: Exception) -> Response[Any]:
    log.error("request.failed", exc_info=error)
    return problem(request, ApiError())


EXCEPTION_HANDLERS: ExceptionHandlersMap = {
    ApiError: _ours,
    RedisError: _store,
    HTTPException: _framework,
    Exception: _unexpected,
}
