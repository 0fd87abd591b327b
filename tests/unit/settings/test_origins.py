"""`MILLRACE_ALLOWED_ORIGINS` is read once, for CORS and for writes by cookie."""

from __future__ import annotations

import pytest

from api.security.origins import OriginPolicy
from api.settings import SettingsError
from tests.unit.settings.conftest import Read


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("https://a.example", "https://a.example"),
        ("https://a.example/", "https://a.example"),
        ("HTTPS://A.Example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("http://a.example:80/", "http://a.example"),
        ("https://a.example:8443/", "https://a.example:8443"),
        ("http://[::1]:3000", "http://[::1]:3000"),
        ("https://xn--bcher-kva.example", "https://xn--bcher-kva.example"),
    ],
)
def test_an_origin_is_read_as_browsers_send_it(written: str, sent: str, read: Read) -> None:
    """CORS compares texts: one that differs in case or by a slash would never match."""
    settings = read(MILLRACE_ALLOWED_ORIGINS=f" {written} ,")

    assert settings.allowed_origins == (sent,)
    assert OriginPolicy(settings.allowed_origins, https_only=True).allows(sent, host="h")


def test_any_origin_stays_as_it_is(read: Read) -> None:
    """It is for reading only."""
    assert read(MILLRACE_ALLOWED_ORIGINS="*").allowed_origins == ("*",)


@pytest.mark.parametrize(
    "text",
    [
        *("a.example", "//a.example", "https://a.example/app", "https://a.example?x=1", "null"),
        *("https://a.example#x", "https://u@a.example", "https://*.a.example", "ftp://a.example"),
        *("https://bücher.example", "https://a b.example", "https://a.example:x", "https://"),
        *("https://a.example?", "https://a.example#", "https://a%20b.example"),
        *("https://a.example\\", "https://a.example\\b", "https://[v1.a]", 'https://"a"'),
    ],
)
def test_what_no_browser_sends_is_refused_by_name(text: str, read: Read) -> None:
    """It would be a setting without effect. The complaint shows which of several it is."""
    with pytest.raises(SettingsError) as caught:
        read(MILLRACE_ALLOWED_ORIGINS=f"https://good.example,{text}")

    [complaint] = caught.value.complaints
    assert complaint.startswith("MILLRACE_ALLOWED_ORIGINS: ")
    assert ascii(text) in complaint
