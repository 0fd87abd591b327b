"""Which pages may write with our cookie."""

from __future__ import annotations

import pytest

from api.security.origins import OriginPolicy

POLICY = OriginPolicy(["https://app.example.com", "http://localhost:5173", "*"], https_only=True)
LOCAL = OriginPolicy([], https_only=False)


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.com",
        "https://APP.example.com:443",
        "http://localhost:5173",
        "https://api.example.com",
        "https://api.example.com:443",
    ],
)
def test_listed_origins_and_our_own_are_allowed(origin: str):
    """Default ports and the case of the host make no difference."""
    assert POLICY.allows(origin, host="api.example.com")


@pytest.mark.parametrize(
    "origin",
    [
        None,
        "",
        "null",
        "*",
        "https://evil.example",
        "http://app.example.com",
        "http://api.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.com",
        "https://evilapp.example.com",
        "https://app.example.com@evil.com",
        "https://evil.com@app.example.com",
        "file://",
        "https://",
        "https://app.example.com/path",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://app.example.com:port",
        "https://[::1",
        "app.example.com",
        "data:text/html,x",
    ],
)
def test_other_origins_are_refused(origin: str | None):
    """So are opaque ones, look-alikes, http under our own name, and none at all."""
    assert not POLICY.allows(origin, host="api.example.com")


@pytest.mark.parametrize("host", [None, "", "a/b", "evil.example@a", "a:port"])
def test_a_missing_or_strange_host_is_no_origin_of_ours(host: str | None):
    """Then only the list counts."""
    assert not POLICY.allows("https://api.example.com", host=host)
    assert not POLICY.allows("null", host=host)
    assert POLICY.allows("https://app.example.com", host=host)


def test_our_own_page_is_known_by_the_browsers_word_where_a_proxy_replaces_the_host():
    """Scripts cannot set Sec-Fetch-Site; every other value of it decides nothing."""
    cdn, behind = "https://d1234.cloudfront.net", "abc.lambda-url.eu-central-1.on.aws"

    assert POLICY.allows(cdn, host=behind, fetch_site="same-origin")
    for site in (None, "", "same-site", "cross-site", "none", "Same-Origin"):
        assert not POLICY.allows(cdn, host=behind, fetch_site=site)
        assert POLICY.allows("https://app.example.com", host=behind, fetch_site=site)


def test_local_pages_may_use_http():
    """In local mode the page comes from the same host and port over http."""
    assert LOCAL.allows("http://127.0.0.1:8000", host="127.0.0.1:8000")
    assert LOCAL.allows("http://localhost", host="localhost:80")
    assert not LOCAL.allows("http://127.0.0.1:3000", host="127.0.0.1:8000")
