"""The attributes of the session cookie."""

from __future__ import annotations

from api.security.cookies import SessionCookie


def test_the_cookie_is_secure_outside_local_mode():
    """No script reads it, no other site sends it, no plain connection carries it."""
    assert SessionCookie("t", max_age_s=60, secure=True).header() == (
        "millrace_session=t; Max-Age=60; Path=/; HttpOnly; SameSite=Lax; Secure"
    )


def test_local_mode_works_over_http():
    """Secure alone is left out there."""
    header = SessionCookie("t", max_age_s=0, secure=False).header()

    assert header == "millrace_session=t; Max-Age=0; Path=/; HttpOnly; SameSite=Lax"
