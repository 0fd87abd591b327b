"""Decides which web pages may write with our session cookie."""

from collections.abc import Iterable
from urllib.parse import urlsplit

SAME_ORIGIN = "same-origin"
DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginPolicy:
    """Allows the origins that are listed, and the page that we serve ourselves.

    With `https_only` our own page counts only over https: with a Secure cookie, an http page under
    our name can only be a forgery by somebody on the network. Behind a proxy that replaces Host,
    such as a CDN, the browser itself says that it is our page: Sec-Fetch-Site, which no script can
    set (https://www.w3.org/TR/fetch-metadata/). A browser without it needs the public origin in the
    list.
    """

    def __init__(self, allowed: Iterable[str], *, https_only: bool) -> None:
        # `*` parses to None and is left out: it is for reading, never for writes by cookie.
        self._allowed = {parsed for text in allowed if (parsed := _parse(text))}
        self._own_schemes = ("https",) if https_only else ("http", "https")

    def allows(
        self, origin: str | None, *, host: str | None, fetch_site: str | None = None
    ) -> bool:
        """Return whether a page of `origin` may write. None means that the header was not sent.

        The arguments are the headers Origin, Host and Sec-Fetch-Site.
        """
        if fetch_site == SAME_ORIGIN:
            return True
        given = _parse(origin or "")
        if given is None:
            return False
        own = {_parse(f"{scheme}://{host}") for scheme in self._own_schemes if host}
        return given in self._allowed or given in own


def _parse(text: str) -> tuple[str, str, int] | None:
    """Return scheme, host and port; None for `null`, `*` and any other text that is no origin."""
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname or "@" in parts.netloc:
        return None
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return None
    return parts.scheme, parts.hostname, port or DEFAULT_PORTS[parts.scheme]
