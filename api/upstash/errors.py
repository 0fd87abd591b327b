"""What can go wrong with a call of Redis, as one tree."""

import httpx


class RedisError(Exception):
    """A call that brought no result. `executed` is False only where that is certain."""

    executed: bool | None = None
    transient = False


class Unreachable(RedisError):
    """No connection was made, so nothing was executed."""

    executed = False
    transient = True


class NoReply(RedisError):
    """The request went out and no usable answer came back: it may have been executed."""

    transient = True


class BadGateway(NoReply):
    """Something other than the REST API answered."""


class Refused(RedisError):
    """Redis or the REST API said no. `kind` is the first word of its text."""

    executed = False

    def __init__(self, text: str, status: int) -> None:
        self.kind = text.split(" ", 1)[0]
        self.status = status
        super().__init__(self.kind)


class AuthFailed(Refused):
    """The token is wrong or may not run the command."""


class QuotaExceeded(Refused):
    """The plan's limit is reached, or calls come too fast."""

    transient = True


class TooLarge(Refused):
    """A request or its reply is above the plan's size limit."""


class ScriptMissing(Refused):
    """EVALSHA of a script that this server does not hold."""


class WrongType(Refused):
    """The key holds another type."""


def classify(text: str, status: int) -> Refused:
    """The error of one `{"error": text}` answer."""
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
