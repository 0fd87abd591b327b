"""Checks the URLs and origins in settings."""

import re
from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

SCHEMES: Final = {"http": 80, "https": 443}  # with their default ports
VISIBLE: Final = re.compile(r"[\x21-\x7e]+")  # ASCII characters without white space
ANY_ORIGIN: Final = "*"  # allows every origin
_HOST: Final = re.compile(r"[a-z0-9_.-]+", re.ASCII)


def service_url(text: str) -> str:
    """Return `text` unchanged if it is an http(s) URL of a server.

    Raises `ValueError` if it is none or has a user, a password or a fragment. The error never shows
    the URL.
    """
    parts = _split(text)
    if parts is None or parts.scheme not in SCHEMES:
        raise ValueError("must be a URL that begins with https:// and has nothing but visible text")
    if not parts.hostname or "@" in parts.netloc or parts.port == 0:
        raise ValueError("must be a URL with a host, and without user and password")
    if parts.fragment:
        raise ValueError("must be a URL without a fragment (#)")
    return text


def rest_url(text: str) -> str:
    """Return the URL of Upstash's REST API without a slash at its end.

    Raises `ValueError` if it is no URL for `service_url`, has a query, or is for Redis clients
    (`redis://`).
    """
    parts = _split(text)
    if parts is not None and parts.scheme in {"redis", "rediss"}:
        raise ValueError(
            "this is the address for Redis clients: paste the REST URL from Upstash's console, "
            "which begins with https://"
        )
    url = service_url(text).rstrip("/")
    if "?" in url:
        raise ValueError("must be a URL without a query (?)")
    return url


def travels_in_clear(url: str) -> bool:
    """Return whether others on the way can read what is sent to this http(s) URL.

    Loopback counts as safe.
    """
    parts = urlsplit(url)
    return parts.scheme != "https" and not is_loopback(parts.hostname or "")


def is_loopback(host: str) -> bool:
    """Return whether `host`, a name or an IP address, is this machine itself."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def origin(text: str) -> str:
    """Return an origin in the form in which browsers send it in the header `Origin`.

    That is in lower case, without the default port and without a slash at the end (RFC 6454,
    section 6.2). `*` is returned unchanged. Raises `ValueError` for a text that no browser can send
    as an origin, because it would never match.
    """
    if text == ANY_ORIGIN:
        return text
    parts = _split(text)
    if parts is None or parts.scheme not in SCHEMES or not parts.hostname:
        raise ValueError(f"{text!a} is not an origin: write https://host or https://host:port")
    if "@" in parts.netloc or parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise ValueError(f"{text!a} is not an origin: only scheme, host and port belong to it")
    if "*" in parts.hostname:
        raise ValueError(f"{text!a} matches no origin: name each one, or * alone for all")
    is_bracketed = "[" in parts.netloc
    if not (_is_ipv6(parts.hostname) if is_bracketed else _HOST.fullmatch(parts.hostname)):
        raise ValueError(f"{text!a} is not an origin: its host is neither a name nor an address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    is_usual = parts.port in {None, SCHEMES[parts.scheme]}
    return f"{parts.scheme}://{host}" if is_usual else f"{parts.scheme}://{host}:{parts.port}"


def _is_ipv6(host: str) -> bool:
    try:
        return ip_address(host).version == 6  # noqa: PLR2004
    except ValueError:
        return False


def _split(text: str) -> SplitResult | None:
    """Return the parts of a URL, or None. The standard library would drop line ends."""
    if not VISIBLE.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises `ValueError` if it is no number
    except ValueError:
        return None
    return parts
