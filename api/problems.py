"""What can go wrong, as one tree. Each `title` says what a kind of problem means."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import ValidationError

from api.payloads.models import plain

MAX_ERRORS = 20
OBJECT = "Input should be a JSON object"
MAX_FIELD_CHARS = 200


class ApiError(Exception):
    """A failure that the caller may see.

    Subclasses fix `code` (stable, for programs), `status` (HTTP), `title` and
    `remediation` (the first thing to do). `detail` says what happened this time and must
    never carry a token, a payload or the text of a foreign exception.
    """

    code: ClassVar[str] = "internal-error"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something failed on our side"
    remediation: ClassVar[str] = "Try again; if it stays, report the ref to the operator."

    def __init__(
        self,
        detail: str | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = [dict(error) for error in errors]


class BadRequest(ApiError):
    code = "bad-request"
    status = 400
    title = "The request cannot be understood"
    remediation = "Correct what `detail` or `errors` names and send it again."


class InvalidTopic(BadRequest):
    code = "invalid-topic"
    title = "This is not a topic name"
    remediation = "Use 1 to 8 segments of 1 to 64 letters, digits or _.~- joined by colons."


class InvalidCursor(BadRequest):
    code = "invalid-cursor"
    title = "This is not a cursor of ours"
    remediation = "Send the last `id:` or `next_cursor` you received unchanged, or none."


class InvalidEventId(BadRequest):
    code = "invalid-event-id"
    title = "This is not an event id"
    remediation = "Use an id as events carry it, such as 1763650000000-0."


class Unauthorized(ApiError):
    code = "unauthorized"
    status = 401
    title = "Sign in first"
    remediation = "Send a valid token as `Authorization: Bearer`, a session cookie or a ticket."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class TokenExpired(Unauthorized):
    code = "token-expired"
    title = "The token has expired"
    remediation = "Get a new token and send the request again."


class TicketUsed(Unauthorized):
    code = "ticket-used"
    title = "The ticket was used before"
    remediation = "Ask POST /api/stream-tickets for a new ticket for each connection."


class Forbidden(ApiError):
    code = "forbidden"
    status = 403
    title = "This is not granted to you"
    remediation = "Ask for a grant that covers the topic, or use another topic."


class ForeignOrigin(Forbidden):
    code = "foreign-origin"
    title = "A write by cookie must come from an allowed origin"
    remediation = "Add the page's origin to MILLRACE_ALLOWED_ORIGINS, or send a bearer token."


class ForeignHost(Forbidden):
    code = "foreign-host"
    title = "In local mode only this machine is served"
    remediation = "Use http://127.0.0.1 or http://localhost; other names need another mode."


class DirectAccess(Forbidden):
    code = "direct-access"
    title = "This server answers only what comes through the CDN in front of it"
    remediation = "Use the public address of the service."


class NotFound(ApiError):
    code = "not-found"
    status = 404
    title = "There is nothing here"
    remediation = "Check the path against /api/openapi.json."


class JobNotFound(NotFound):
    code = "job-not-found"
    title = "You have no such job"
    remediation = "Check the id; jobs of other users are not shown."


class JobExpired(ApiError):
    code = "job-expired"
    status = 410
    title = "The job is done, and has been forgotten since"
    remediation = "Read results before `expires_at`, or create the job again."


class JobWithoutResult(ApiError):
    code = "job-without-result"
    status = 409
    title = "The job has no result"
    remediation = "Wait until `status` is succeeded; other jobs have an `error`."


class NotRetryable(ApiError):
    code = "not-retryable"
    status = 409
    title = "The job cannot be tried again"
    remediation = "Only jobs that have failed, expired or been canceled can; look at `retryable`."


class MethodNotAllowed(ApiError):
    code = "method-not-allowed"
    status = 405
    title = "This path does not take this method"
    remediation = "Use one of the methods in the Allow header."


class NotAcceptable(ApiError):
    code = "not-acceptable"
    status = 406
    title = "None of the accepted types can be served"
    remediation = "Accept text/event-stream or application/json, at the path in `detail` if any."


class PayloadTooLarge(ApiError):
    code = "payload-too-large"
    status = 413
    title = "The request body is too large"
    remediation = "Send less at once, or store the data and publish a link to it."


class HeadTooLarge(ApiError):
    code = "head-too-large"
    status = 431
    title = "The headers of the request are too large"
    remediation = "Send fewer and shorter headers and cookies."


class UrlTooLong(ApiError):
    code = "url-too-long"
    status = 414
    title = "The URL is too long"
    remediation = "Name fewer topics, or put what is long into the body."


class RequestTimedOut(ApiError):
    code = "request-timed-out"
    status = 408
    title = "The request did not arrive in time"
    remediation = "Send it again, faster or in smaller parts."


class TooManyConnections(ApiError):
    code = "too-many-connections"
    status = 503
    title = "This process has no room for another connection"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "2"})


class UnsupportedMediaType(ApiError):
    code = "unsupported-media-type"
    status = 415
    title = "The body has a type that is not understood"
    remediation = "Send the body as application/json."


class ValidationFailed(ApiError):
    """`errors` holds one `{"field": dotted path, "message": text}` for each offence."""

    code = "validation-failed"
    status = 422
    title = "Some fields are not right"
    remediation = "Correct the fields that `errors` names."


class ReservedEventType(ValidationFailed):
    code = "reserved-event-type"
    title = "This event type belongs to the stream itself"
    remediation = "Use another type than connected, reset, bye, open or error."


class IdempotencyKeyReused(ApiError):
    code = "idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used with another body"
    remediation = "Use a new key for a new request, and the same body with the same key."


class RateLimited(ApiError):
    code = "rate-limited"
    status = 429
    title = "Too many requests"
    remediation = "Wait for Retry-After seconds; publish in batches, read topics that are in use."

    def __init__(self, detail: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
        self.retry_after_s = retry_after_s


class OverConnectionLimit(RateLimited):
    code = "over-connection-limit"
    title = "Too many open streams"
    remediation = "Close another stream or wait for Retry-After; reconnect with your `conn` id."


class StoreUnavailable(ApiError):
    code = "store-unavailable"
    status = 503
    title = "The event store does not answer"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class PublishUncertain(StoreUnavailable):
    code = "publish-uncertain"
    title = "The event may or may not have been stored"
    remediation = "Send it again with an Idempotency-Key; with one, a repeat is always safe."


class KeysUnavailable(ApiError):
    code = "keys-unavailable"
    status = 503
    title = "The keys that would prove this token cannot be fetched"
    remediation = "Try again after Retry-After seconds; the operator checks MILLRACE_JWKS_URL."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


def field_errors(error: ValidationError, *, within: str = "") -> list[dict[str, str]]:
    """The offences by dotted field name, without the values that offended."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    return [
        {
            "field": _dotted(within, one["loc"]),
            # Pydantic's own words would name our class.
            "message": OBJECT if one["type"] == "model_type" else plain(one["msg"]),
        }
        for one in found[:MAX_ERRORS]
    ]


def _dotted(within: str, names: Sequence[int | str]) -> str:
    # A name that is not known here is the caller's own text, of any length.
    path = [*filter(None, [within]), *map(str, names)] or ["body"]
    return plain(".".join(path))[:MAX_FIELD_CHARS]
