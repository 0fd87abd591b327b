"""The session cookie."""

from dataclasses import dataclass
from typing import Literal

SESSION_COOKIE = "millrace_session"


@dataclass(frozen=True, slots=True)
class SessionCookie:
    """The one way we set a session cookie: not readable by scripts, never sent by other sites.

    `max_age_s` of 0 removes it. Without Domain, so that it stays on this very host.
    """

    value: str
    max_age_s: int
    secure: bool
    name: str = SESSION_COOKIE
    path: str = "/"
    http_only: bool = True
    same_site: Literal["lax"] = "lax"

    def header(self) -> str:
        """The value of Set-Cookie."""
        secure = "; Secure" if self.secure else ""
        return (
            f"{self.name}={self.value}; Max-Age={self.max_age_s}; Path={self.path}"
            f"; HttpOnly; SameSite=Lax{secure}"
        )
