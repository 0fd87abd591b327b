"""The cookie that carries a session token."""

from dataclasses import dataclass
from typing import Literal

SESSION_COOKIE = "millrace_session"


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The session cookie as we set it: no script can read it, no write of another site sends it.

    `value` is the session token. `max_age_s` is its life in seconds; 0 removes the cookie. `secure`
    limits it to https. It has no Domain, so that it stays on this very host.
    """

    value: str
    max_age_s: int
    secure: bool
    name: str = SESSION_COOKIE
    path: str = "/"
    http_only: bool = True
    same_site: Literal["lax"] = "lax"

    def header(self) -> str:
        """Return the value of the header Set-Cookie."""
        secure = "; Secure" if self.secure else ""
        return (
            f"{self.name}={self.value}; Max-Age={self.max_age_s}; Path={self.path}"
            f"; HttpOnly; SameSite=Lax{secure}"
        )
