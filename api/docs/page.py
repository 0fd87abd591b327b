"""The web page at `/` and the files beside it, from the folder `settings.web_root`."""

import re
from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

INDEX = "index.html"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".ico": "image/x-icon",
    ".js": "text/javascript",
    ".json": "application/json",
    ".map": "application/json",
    ".mjs": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
ABLY = " ".join(
    f"{scheme}://*.{domain}"
    for domain in ("ably.io", "ably.net", "ably-realtime.com")
    for scheme in ("https", "wss")
)
LOOPBACK = "http://127.0.0.1:* ws://127.0.0.1:* http://localhost:* ws://localhost:*"

_INLINE = re.compile(r"<(script|style)\b[^>]*>(.*?)</\1>", re.DOTALL | re.IGNORECASE)
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/){0,4}[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)


@dataclass(frozen=True, slots=True)
class WebFile:
    """A file of the web page, as it is sent."""

    content: bytes
    media_type: str


class WebRoot:
    """A folder whose files of known types are public.

    Hidden files, and files outside of the folder, are not.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    def find(self, name: str) -> WebFile | None:
        """Return the file with this name (a path in the folder); None if it is not public."""
        media_type = TYPES.get(Path(name).suffix)
        if media_type is None or not _NAME.fullmatch(name):
            return None
        path = (self._folder / name).resolve()
        # A link may lead out of the folder, though its name does not.
        if not path.is_relative_to(self._folder) or not path.is_file():
            return None
        return WebFile(path.read_bytes(), media_type)


def content_policy(html: str, *, is_local: bool) -> str:
    """Return the Content-Security-Policy of an HTML page.

    It allows the page's own files, its inline scripts and styles as they are in `html`, and
    connections to this API and to Ably. With `is_local` these are any servers of this machine and
    not Ably's own.
    """
    hashes = {"script": "", "style": ""}
    for kind, text in filter(itemgetter(1), _INLINE.findall(html)):
        digest = b64encode(sha256(text.encode()).digest()).decode()
        hashes[kind.lower()] += f" 'sha256-{digest}'"
    return (
        f"default-src 'none'; script-src 'self'{hashes['script']}; "
        f"style-src 'self'{hashes['style']}; img-src 'self' data:; font-src 'self'; "
        f"connect-src 'self' {LOOPBACK if is_local else ABLY}; manifest-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )
