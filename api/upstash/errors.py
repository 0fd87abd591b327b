"""The exceptions that a call of Redis can raise, in one tree."""

import httpx


class RedisError(Exception):
    """Base class: a call of Redis gave no result.

    `executed` is False if the command was certainly not executed, and None if that is not known.
    `transient` says that the same call may succeed when it is tried again.
    """

    executed: bool | None = None
    transient = False


class Unreachable(RedisError):
    """Raised when no connection could be made, so that nothing was executed."""

    executed = False
    transient = True


class NoReply(RedisError):
    """Raised when a request was sent but no usable answer came. It may have been executed."""

    transient = True


class BadGateway(NoReply):
    """Raised when something answered that is not Upstash's REST API, such as a proxy."""


class Refused(RedisError):
    """Raised when Redis or the REST API answered with an error. It counts as not executed.

    `kind` is the first word of the error's text, such as `WRONGTYPE`, and `status` the HTTP status.
    """

    executed = False

    def __init__(self, text: str, status: int) -> None:
        self.kind = text.split(" ", 1)[0]
        self.status = status
        super().__init__(self.kind)


class AuthFailed(Refused):
    """Raised when the token is wrong or does not allow the command."""


class QuotaExceeded(Refused):
    """Raised when a limit of the Upstash plan is reached, or when requests come too fast."""

    transient = True


class TooLarge(Refused):
    """Raised when a request or its reply is above the size limit of the Upstash plan."""


class ScriptMissing(Refused):
    """Raised when EVALSHA names a script that the server does not have (NOSCRIPT)."""


class WrongType(Refused):
    """Raised when the command does not fit the type of the value under the key (WRONGTYPE)."""


def classify(text: str, status: int) -> Refused:
    """Return, not raise, the exception for an answer `{"error": text}` with this HTTP status."""
    kinds = {
        "WRONGPASS": AuthFailed,
        "NOPERM": AuthFailed,
        "Unauthorized": AuthFailed,
        "NOSCRIPT": ScriptMissing,
        "WRONGTYPE": WrongType,
    }
    error = kinds.get(text.split(" ", 1)[0])
    if error is None and status == httpx.codes.UNAUTHORIZED:
        error = AuthFailed
    if error is None and (
        "max request size" in text or status == httpx.codes.REQUEST_ENTITY_TOO_LARGE
    ):
        error = TooLarge
    if error is None and ("limit exceeded" in text or status == httpx.codes.TOO_MANY_REQUESTS):
        error = QuotaExceeded
    return (error or Refused)(text, status)
