"""A user's id as one segment of a topic: the form in topics, grants, keys and client ids.

Identity providers name users by texts that are no segment: `auth0|123`, `eu-west-1:1f…`,
`a@b.example`. Such a text is escaped, byte by byte, as in a URL with `~` for `%`: `auth0~7C123`. A
text that is a segment already is not changed, except for `.` and `..`, and texts that look escaped.
No two ids have the same form.
"""

import hashlib
import re
from base64 import urlsafe_b64encode
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from api.security.patterns import MAX_SEGMENT_CHARS, is_segment

# OpenID Connect Core, section 2: `sub` has at most 255 characters.
MAX_ID_CHARS: Final = 255
DIGEST: Final = "~sha256."
DOTS: Final = frozenset({".", ".."})
_ESCAPE = re.compile(r"~([0-9A-F]{2})")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]")


class InvalidUserId(ValueError):
    """Raised for a text that is not the id of a user.

    Its message never repeats the id, which may come from a token.
    """

    def __init__(self) -> None:
        super().__init__(f"a user id is 1 to {MAX_ID_CHARS} printable characters")


def user_segment(user_id: str) -> str:
    """Return the segment of the user whom a token calls `user_id`. Raises InvalidUserId.

    If the escaped form has more than 64 characters, the segment is made of the SHA-256 of the id.
    """
    # Unpaired surrogates are not printable either, so what is left can be encoded.
    if not 0 < len(user_id) <= MAX_ID_CHARS or not user_id.isprintable():
        raise InvalidUserId
    # Clients resolve both away in a path, so no URL could name the user (RFC 3986, 5.2.4).
    if user_id in DOTS:
        return user_id.replace(".", "~2E")
    # Whoever can choose an id must not get the segment of another: `a~40b` is not `a@b`.
    if is_segment(user_id) and not _is_form(user_id):
        return user_id
    escaped = _UNSAFE.sub(_escaped, user_id)
    if len(escaped) <= MAX_SEGMENT_CHARS:
        return escaped
    digest = hashlib.sha256(user_id.encode()).digest()
    return DIGEST + urlsafe_b64encode(digest).rstrip(b"=").decode()


def addressed_user(text: str) -> str:
    """Return the segment of the user whom a request or a ticket names, by id or by segment.

    The users in our answers are segments, so a text that is a segment is taken as one. Raises
    InvalidUserId.
    """
    return text if is_segment(text) and text not in DOTS else user_segment(text)


UserId = Annotated[
    str,
    Field(
        pattern=rf"^[^\x00-\x1f\x7f]{{1,{MAX_ID_CHARS}}}$",
        description="A user's id as tokens have it, or its segment.",
    ),
    AfterValidator(addressed_user),
]
"""A user in a request's body; its value is the segment."""


def user_id_of(segment: str) -> str | None:
    """Return the id of which `user_segment` makes this segment.

    None for a segment that holds a digest, and for a text that `user_segment` never returns.
    """
    if not _is_form(segment):
        return None if segment in DOTS else segment
    try:
        user_id = _bytes(segment).decode()
        return user_id if user_segment(user_id) == segment else None
    except ValueError:
        return None


def _is_form(segment: str) -> bool:
    return segment.startswith(DIGEST) or _ESCAPE.search(segment) is not None


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"~{byte:02X}" for byte in found[0].encode())


def _bytes(segment: str) -> bytes:
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), segment).encode("latin-1")
