"""What a connection of the container refuses before the application is asked."""

from api.problems import ApiError


class HeadTooLarge(ApiError):
    """The first line and the headers are larger than MILLRACE_MAX_HEAD_BYTES."""

    code = "head-too-large"
    status = 431
    title = "The headers of the request are too large"
    remediation = "Send fewer and shorter headers and cookies."


class UrlTooLong(ApiError):
    """Path and query are longer than MILLRACE_MAX_URL_BYTES."""

    code = "url-too-long"
    status = 414
    title = "The URL is too long"
    remediation = "Name fewer topics, or put what is long into the body."


class RequestTimedOut(ApiError):
    """The head or the body took longer than its time-out."""

    code = "request-timed-out"
    status = 408
    title = "The request did not arrive in time"
    remediation = "Send it again, faster or in smaller parts."


class TooManyConnections(ApiError):
    """The process has MILLRACE_MAX_CONNECTIONS connections."""

    code = "too-many-connections"
    status = 503
    title = "This process has no room for another connection"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "2"})
