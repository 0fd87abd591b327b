"""Links that a page may follow without looking: of the web, or within the site."""

import re
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

MAX_CHARS: Final = 2048
# No `javascript:`, no `//elsewhere` in the guise of a path, no name and password in front of a
# host, and none of what browsers drop or turn into a slash before they look.
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
