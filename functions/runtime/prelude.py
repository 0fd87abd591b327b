"""The prelude of a streamed response: JSON with its status, headers and cookies."""

import json
from collections.abc import Iterable

DELIMITER = b"\0" * 8
MAX_BYTES = 16_384  # a REST API looks no further for the delimiter
# Left to the gateway or Function URL, which frames the body anew.
NOT_OURS = frozenset(
    {
        "connection",
        "content-length",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)


class PreludeTooLarge(ValueError):
    """The head of the response is longer than what a gateway reads of it."""


def prelude(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The JSON that stands before the delimiter. Raises PreludeTooLarge.

    A repeated header becomes one header with a list (RFC 9110, 5.3). Set-Cookie, for which that
    is not allowed, has a field of its own.
    """
    joined: dict[str, str] = {}
    cookies: list[str] = []
    for raw_name, raw_value in headers:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        if name == "set-cookie":
            cookies.append(value)
        elif name not in NOT_OURS:
            joined[name] = f"{joined[name]}, {value}" if name in joined else value
    text = json.dumps({"statusCode": status, "headers": joined, "cookies": cookies}).encode()
    if len(text) + len(DELIMITER) > MAX_BYTES:
        raise PreludeTooLarge
    return text
