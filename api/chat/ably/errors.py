"""The errors that Ably's SDKs read in the answer of their `authUrl`, the token endpoint."""

from typing import Any, Final

from api.chat.problems import Banned
from api.problems import ApiError, RateLimited, Unauthorized

# Ably's error codes, as ably/ably-common lists them in protocol/errors.json.
UNAUTHORIZED: Final = 40100
NO_CAPABILITY: Final = 40160
BAD_REQUEST: Final = 40000
TOO_MANY: Final = 42910
INTERNAL: Final = 50000
UNAVAILABLE: Final = 50003
BANNED: Final = 40300


class NoRooms(Unauthorized):
    """Raised when a token is asked for and the caller is a member of no room, or of none it named.

    The status is 401 and not 403, so that the SDK asks again by itself: the user may have joined a
    room by then.
    """

    code = "no-rooms"
    title = "There is no room to give a token for"
    remediation = "Join a room first, then connect or call auth.authorize()."


class TooManyRooms(ApiError):
    """Raised when the caller's rooms do not fit into one token. The caller can name fewer."""

    code = "too-many-rooms"
    status = 400
    title = "A token cannot name all your rooms"
    remediation = "Name those you need: ?rooms=a,b; a token request holds more than a JWT."


def ably_error(kind: type[ApiError], detail: str | None = None) -> tuple[int, dict[str, Any]]:
    """Return the HTTP status and the JSON body that tell Ably's SDKs of a problem of type `kind`.

    `detail` says what happened this time; None takes the title of `kind`. Only a ban is answered
    with 403, because on a 403 the SDK gives up its connection for good. Any other 403 becomes a
    401.
    """
    status = kind.status
    if status == Banned.status and not issubclass(kind, Banned):
        status = Unauthorized.status
    message = f"{(detail or kind.title).rstrip('.')}. {kind.remediation}"
    body = {"code": _code(kind, status), "statusCode": status, "message": message}
    return status, {"error": body}


def _code(kind: type[ApiError], status: int) -> int:
    if issubclass(kind, NoRooms):
        return NO_CAPABILITY
    if issubclass(kind, RateLimited):
        return TOO_MANY
    codes = {400: BAD_REQUEST, 401: UNAUTHORIZED, 403: BANNED, 503: UNAVAILABLE}
    return codes.get(status, INTERNAL if status >= ApiError.status else status * 100)
