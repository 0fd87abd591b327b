"""An index of Python packages that offers a newer release of every project, each of them broken."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

NEWER = "9999.0"
PAGE = '<!DOCTYPE html><html><body><a href="/{file}#sha256={digest}">{file}</a></body></html>'
METADATA = (
    "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Dist: millrace-broken\n"
)
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def wheel(name: str) -> bytes:
    """A release of `name` that installs nothing and needs a project that does not exist."""
    info = f"{name.replace('-', '_')}-{NEWER}.dist-info"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for file, text in (
            ("METADATA", METADATA.format(name=name, version=NEWER)),
            ("WHEEL", WHEEL),
            ("RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(f"{info}/{file}"), text)
    return packed.getvalue()


class NewerReleases:
    """The projects of the index, and which of them were asked for."""

    def __init__(self, projects: set[str]) -> None:
        self._projects = projects
        self.asked: set[str] = set()

    def answer(self, path: str) -> bytes | None:
        """The page of a project (PEP 503) or one of its files; None for what is not there."""
        parts = path.strip("/").split("/")
        if len(parts) == 1 and parts[0].endswith(".whl"):
            return wheel(parts[0].partition("-")[0].replace("_", "-"))
        name = parts[-1]
        if name not in self._projects:
            return None
        self.asked.add(name)
        file = f"{name.replace('-', '_')}-{NEWER}-py3-none-any.whl"
        digest = hashlib.sha256(wheel(name)).hexdigest()
        return PAGE.format(file=file, digest=digest).encode()


@contextmanager
def serving(releases: NewerReleases) -> Iterator[str]:
    """The address of the index, on loopback, while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = releases.answer(self.path)
            self.send_response(404 if body is None else 200)
            kind = "application/zip" if self.path.endswith(".whl") else "text/html"
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
