"""The exceptions that callers see as problem documents, in one tree.

The `title` of each class says in one sentence what this kind of problem means.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from pydantic import ValidationError

from api.payloads.models import plain

MAX_ERRORS = 20  # wrong fields that one problem document lists
OBJECT = "Input should be a JSON object"  # the message for a value that is no JSON object
MAX_FIELD_CHARS = 200  # of a field's name in a problem document


class ApiError(Exception):
    """Base class of every failure that is shown to the caller.

    Raised as such, it is a failure of ours.

    Subclasses define `code` (stable, for programs), `status` (HTTP), `title` and `remediation`
    (what the caller should do first). `detail` says what happened this time; it must never hold a
    token, a payload or the text of a foreign exception. `headers` are added to the HTTP answer, and
    `errors` has one entry for each wrong field.
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
    """Raised when a request breaks a rule of HTTP or of this API. Nothing was done."""

    code = "bad-request"
    status = 400
    title = "The request cannot be understood"
    remediation = "Correct what `detail` or `errors` names and send it again."


class InvalidTopic(BadRequest):
    """Raised when a text that should be a topic name does not follow the grammar of topic names."""

    code = "invalid-topic"
    title = "This is not a topic name"
    remediation = "Use 1 to 8 segments of 1 to 64 letters, digits or _.~- joined by colons."


class InvalidCursor(BadRequest):
    """Raised when a text is no cursor of ours, or is a cursor of another list."""

    code = "invalid-cursor"
    title = "This is not a cursor of ours"
    remediation = "Send the last `id:` or `next_cursor` you received unchanged, or none."


class InvalidEventId(BadRequest):
    """Raised when a text that should be an event id is none."""

    code = "invalid-event-id"
    title = "This is not an event id"
    remediation = "Use an id as events carry it, such as 1763650000000-0."


class Unauthorized(ApiError):
    """Raised when the request has no valid token, session cookie or ticket."""

    code = "unauthorized"
    status = 401
    title = "Sign in first"
    remediation = "Send a valid token as `Authorization: Bearer`, a session cookie or a ticket."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": "Bearer"})


class TokenExpired(Unauthorized):
    """Raised when a token, ours or the team's, is genuine but has expired."""

    code = "token-expired"
    title = "The token has expired"
    remediation = "Get a new token and send the request again."


class TicketUsed(Unauthorized):
    """Raised when a ticket is used a second time: a ticket opens one stream."""

    code = "ticket-used"
    title = "The ticket was used before"
    remediation = "Ask POST /api/stream-tickets for a new ticket for each connection."


class Forbidden(ApiError):
    """Raised when the caller may not do this.

    It does not say whether the thing in question exists.
    """

    code = "forbidden"
    status = 403
    title = "This is not granted to you"
    remediation = "Ask for a grant that covers the topic, or use another topic."


class ForeignOrigin(Forbidden):
    """Raised when a write that is authenticated by cookie has an origin that is not allowed."""

    code = "foreign-origin"
    title = "A write by cookie must come from an allowed origin"
    remediation = "Add the page's origin to MILLRACE_ALLOWED_ORIGINS, or send a bearer token."


class NotFound(ApiError):
    """Raised when there is no such path, or nothing of this name that the caller may see."""

    code = "not-found"
    status = 404
    title = "There is nothing here"
    remediation = "Check the path against /api/openapi.json."


class MethodNotAllowed(ApiError):
    """Raised when the path exists but does not take the method of the request."""

    code = "method-not-allowed"
    status = 405
    title = "This path does not take this method"
    remediation = "Use one of the methods in the Allow header."


class NotAcceptable(ApiError):
    """Raised when the header `Accept` excludes every media type that the path can answer with."""

    code = "not-acceptable"
    status = 406
    title = "None of the accepted types can be served"
    remediation = "Accept text/event-stream or application/json, at the path in `detail` if any."


class PayloadTooLarge(ApiError):
    """Raised when the request body, or one event in it, is larger than the settings allow."""

    code = "payload-too-large"
    status = 413
    title = "The request body is too large"
    remediation = "Send less at once, or store the data and publish a link to it."


class UnsupportedMediaType(ApiError):
    """Raised when the `Content-Type` of the body is not the one that the path takes."""

    code = "unsupported-media-type"
    status = 415
    title = "The body has a type that is not understood"
    remediation = "Send the body as application/json."


class ValidationFailed(ApiError):
    """Raised when fields of the body break the rules of its model.

    `errors` holds one `{"field": dotted path, "message": text}` for each of them.
    """

    code = "validation-failed"
    status = 422
    title = "Some fields are not right"
    remediation = "Correct the fields that `errors` names."


class ReservedEventType(ValidationFailed):
    """Raised when somebody publishes an event of a reserved type, such as a control event."""

    code = "reserved-event-type"
    title = "This event type belongs to the stream itself"
    remediation = "Use another type than connected, reset, bye, open or error."


class IdempotencyKeyReused(ApiError):
    """Raised when an idempotency key comes a second time with another body than the first time."""

    code = "idempotency-key-reused"
    status = 422
    title = "This Idempotency-Key was used with another body"
    remediation = "Use a new key for a new request, and the same body with the same key."


class RateLimited(ApiError):
    """Raised when the caller has used up its rate.

    It may try again after `retry_after_s` seconds.
    """

    code = "rate-limited"
    status = 429
    title = "Too many requests"
    remediation = "Wait for Retry-After seconds; publish in batches, read topics that are in use."

    def __init__(self, detail: str | None = None, *, retry_after_s: int) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})
        self.retry_after_s = retry_after_s


class OverConnectionLimit(RateLimited):
    """Raised when a user or an IP address already has as many open streams as are allowed."""

    code = "over-connection-limit"
    title = "Too many open streams"
    remediation = "Close another stream or wait for Retry-After; reconnect with your `conn` id."


class StoreUnavailable(ApiError):
    """Raised when Redis does not answer or refuses a command, so that the request cannot be served.

    `retry_after_s` is the value of the header `Retry-After`, in seconds.
    """

    code = "store-unavailable"
    status = 503
    title = "The event store does not answer"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None, *, retry_after_s: int = 2) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after_s)})


class PublishUncertain(StoreUnavailable):
    """Raised when the connection to Redis broke while an event was being stored.

    The event may be stored or not. Sending it again is safe only with an idempotency key.
    """

    code = "publish-uncertain"
    title = "The event may or may not have been stored"
    remediation = "Send it again with an Idempotency-Key; with one, a repeat is always safe."


class KeysUnavailable(ApiError):
    """Raised when a token cannot be checked: the identity provider does not deliver its keys."""

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
    """Return one `{"field": dotted path, "message": text}` for each error, `MAX_ERRORS` at most.

    `within` is a path that is put before every field name. The values of the fields are left out.
    """
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
