"""Links that are safe to put into a web page: to the web, or to a path of the same site."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

MAX_CHARS: Final = 2048  # of a link
# Refused are: `javascript:` and other schemes, `//elsewhere`, which looks like a path and is a
# host, a name and password before the host, and the characters that browsers remove or turn into
# a slash before they read an address.
_TEXT = r"[^\x00-\x20\x7f\\\s]*"
_LINK = re.compile(rf"https?://[^\x00-\x20\x7f\\/?#@\s]+(?:[/?#]{_TEXT})?|/(?!/){_TEXT}")


def _checked(text: str) -> str:
    if not _LINK.fullmatch(text):
        raise PydanticCustomError(
            "link", "Use an http or https address, or a path of this site that begins with /"
        )
    return text


Link = Annotated[
    str,
    Field(max_length=MAX_CHARS, examples=["/orders/42", "https://example.com/"]),
    AfterValidator(_checked),
]
"""An http or https address, or a path of the site that begins with one slash."""
