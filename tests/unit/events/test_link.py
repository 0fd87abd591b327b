"""Only links that are safe to put into a page."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from api.payloads.links import MAX_CHARS, Link

LINK = TypeAdapter(Link)


@pytest.mark.parametrize(
    "link",
    [
        "/",
        "/orders/42?tab=1#top",
        "/größe",
        "http://example.com",
        "https://example.com/a?b=c#d",
        "https://example.com:8443?x",
        "http://[::1]:8000/x",
        "https://example.com/@name",
    ],
)
def test_links_of_the_web_and_of_the_site_are_taken(link: str):
    """They are taken as they are."""
    assert LINK.validate_python(link) == link


@pytest.mark.parametrize(
    "link",
    [
        "",
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "java\tscript:alert(1)",
        " javascript:alert(1)",
        "data:text/html,x",
        "ftp://example.com",
        "//example.com",
        "/\\example.com",
        "\\\\example.com",
        "/\t/example.com",
        "/a\nb",
        "http:/example.com",
        "https://",
        "https:///path",
        "https://user@example.com",
        "https://example.com\\@evil.example",
        "https://exa mple.com",
        "relative/path",
        "#top",
        "?a=b",
        "/" + "a" * MAX_CHARS,
        "/a\x00",
        "/a\u2028b",
        "/a\n",
    ],
)
def test_everything_else_is_refused(link: str):
    """Schemes that run code, hosts that look like paths, and what browsers strip first."""
    with pytest.raises(ValidationError):
        LINK.validate_python(link)
