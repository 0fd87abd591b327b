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
    """The request breaks a rule of HTTP or of this API, so that it was not looked at further."""

    code = "bad-request"
    status = 400
    title = "The request cannot be understood"
    remediation = "Correct what `detail` or `errors` names and send it again."


class InvalidTopic(BadRequest):
    """A text that should name a topic does not."""

    code = "invalid-topic"
    title = "This is not a topic name"
    remediation = "Use 1 to 8 segments of 1 to 64 letters, digits or _.~- joined by colons."


class InvalidCursor(BadRequest):
    """A cursor was not made by us, or was made for something else."""

    code = "invalid-cursor"
    title = "This is not a cursor of ours"
    remediation = "Send the last `id:` or `next_cursor` you received unchanged, or none."


class InvalidEventId(BadRequest):
    """A text that should be an event id is not."""

    code = "invalid-event-id"
    title = "This is not an event id"
    remediation = "Use an id as events carry it, such as 1763650000000-0."


class Unauthorized(ApiError):
    """The request does not prove who calls."""

    code = "unauthorized"
    status = 401
    title = "Sign in first"
    remediation = "Send a valid token as `Authorization: Bearer`, a session cookie or a ticket."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class TokenExpired(Unauthorized):
    """A token of ours or of the team's was good, and its time is over."""

    code = "token-expired"
    title = "The token has expired"
    remediation = "Get a new token and send the request again."


class TicketUsed(Unauthorized):
    """A stream ticket was used a second time; it is good for one connection."""

    code = "ticket-used"
    title = "The ticket was used before"
    remediation = "Ask POST /api/stream-tickets for a new ticket for each connection."


class Forbidden(ApiError):
    """The caller may not do this, whether or not what it is about exists."""

    code = "forbidden"
    status = 403
    title = "This is not granted to you"
    remediation = "Ask for a grant that covers the topic, or use another topic."


class ForeignOrigin(Forbidden):
    """A page that may not write has sent a write with the cookie of its visitor."""

    code = "foreign-origin"
    title = "A write by cookie must come from an allowed origin"
    remediation = "Add the page's origin to MILLRACE_ALLOWED_ORIGINS, or send a bearer token."


class NotFound(ApiError):
    """There is no such path, or nothing of this name for the caller."""

    code = "not-found"
    status = 404
    title = "There is nothing here"
    remediation = "Check the path against /api/openapi.json."


class MethodNotAllowed(ApiError):
    """The path exists, but not for this method."""

    code = "method-not-allowed"
    status = 405
    title = "This path does not take this method"
    remediation = "Use one of the methods in the Allow header."


class NotAcceptable(ApiError):
    """`Accept` excludes every form of the answer."""

    code = "not-acceptable"
    status = 406
    title = "None of the accepted types can be served"
    remediation = "Accept text/event-stream or application/json, at the path in `detail` if any."


class PayloadTooLarge(ApiError):
    """The body, or an event in it, is larger than a setting allows."""

    code = "payload-too-large"
    status = 413
    title = "The request body is too large"
    remediation = "Send less at once, or store the data and publish a link to it."


class UnsupportedMediaType(ApiError):
    """The body's Content-Type is not the one that the path takes."""

    code = "unsupported-media-type"
    status = 415
    title = "The body has a type that is not understood"
    remediation = "Send the body as application/json."


class ValidationFailed(ApiError):
    """Fields of the body break the rules of its model.

    `errors` holds one `{"field": dotted path, "message": text}` for each of them.
    """

    code = "validation-failed"
    status = 422
    title = "Some fields are not right"
    remediation = "Correct the fields that `errors` names."


class ReservedEventType(ValidationFailed):
    """A publish used a type of the events by which a stream speaks about itself."""

    code = "reserved-event-type"
    title = "This event type belongs to the stream itself"
    remediation = "Use another type than connected, reset, bye, open or error."


class IdempotencyKeyReused(ApiError):
    """A key that belongs to one request came with another one."""

    code = "idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used with another body"
    remediation = "Use a new key for a new request, and the same body with the same key."


class RateLimited(ApiError):
    """The caller has used up its rate. `retry_after_s` is when it may go on."""

    code = "rate-limited"
    status = 429
    title = "Too many requests"
    remediation = "Wait for Retry-After seconds; publish in batches, read topics that are in use."

    def __init__(self, detail: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
        self.retry_after_s = retry_after_s


class OverConnectionLimit(RateLimited):
    """A user or an address has as many open streams as are allowed."""

    code = "over-connection-limit"
    title = "Too many open streams"
    remediation = "Close another stream or wait for Retry-After; reconnect with your `conn` id."


class StoreUnavailable(ApiError):
    """Redis does not answer, so that the request could not be done."""

    code = "store-unavailable"
    status = 503
    title = "The event store does not answer"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class PublishUncertain(StoreUnavailable):
    """The connection to the store broke while an event was being stored."""

    code = "publish-uncertain"
    title = "The event may or may not have been stored"
    remediation = "Send it again with an Idempotency-Key; with one, a repeat is always safe."


class KeysUnavailable(ApiError):
    """A token needs a key of the identity provider, which does not answer."""

    code = "keys-unavailable"
    status = 503
    title = "The keys that would prove this token cannot be fetched"
    remediation = "Try again after Retry-After seconds; the operator checks MILLRACE_JWKS_URL."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "5"})


# For the OpenAPI document: what publishing, and opening a stream, may answer with.
OF_PUBLISHING = (Forbidden, ForeignOrigin, IdempotencyKeyReused, RateLimited, PublishUncertain)
OF_STREAMS = (Forbidden, TicketUsed, NotAcceptable, OverConnectionLimit)


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
