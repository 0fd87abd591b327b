"""An index of Python packages that offers a newer release of every project, each of them broken."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.tcp_server import HttpAnswer, HttpRequest, http_server

NEWER = "9999.0"
PAGE = "<!DOCTYPE html><html><body>{links}</body></html>"
LINK = '<a href="/{file}#sha256={digest}">{file}</a>'
METADATA = """\
Metadata-Version: 2.1
Name: {name}
Version: {version}
Provides-Extra: more
Requires-Dist: {needs}
"""
WHEEL = "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n"

# Two projects of this index alone: the first needs the second with an extra. For a resolver a
# project with an extra is another one than the project that a lock pins.
ASKING, ASKED, PINNED = "millrace-asking", "millrace-asked", "1.0"
PINNED_NEEDS = {ASKING: f"{ASKED}[more]", ASKED: f"{ASKING}; extra == 'never'"}


def file_of(name: str, version: str) -> str:
    return f"{name.replace('-', '_')}-{version}-py3-none-any.whl"


def wheel(file: str) -> bytes:
    """The release of this file name. A newer one needs a project that does not exist."""
    stem, version, *_ = file.split("-")
    name = stem.replace("_", "-")
    needs = PINNED_NEEDS[name] if version == PINNED else "millrace-broken"
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for member, text in (
            ("METADATA", METADATA.format(name=name, version=version, needs=needs)),
            ("WHEEL", WHEEL),
            ("RECORD", ""),
        ):
            archive.writestr(zipfile.ZipInfo(f"{stem}-{version}.dist-info/{member}"), text)
    return packed.getvalue()


def digest_of(file: str) -> str:
    return hashlib.sha256(wheel(file)).hexdigest()


def lock_of_two() -> str:
    """A complete lock of the two projects."""
    files = {name: file_of(name, PINNED) for name in (ASKING, ASKED)}
    lines = (f"{name}=={PINNED} --hash=sha256:{digest_of(file)}" for name, file in files.items())
    return "\n".join(lines)


class NewerReleases:
    """An index of projects. `asked` has those that were asked for."""

    def __init__(self, projects: set[str]) -> None:
        self._projects = projects | PINNED_NEEDS.keys()
        self.asked: set[str] = set()

    def answer(self, path: str) -> bytes | None:
        """The page of a project (PEP 503) or one of its files; None for other paths."""
        *_, name = path.strip("/").split("/")
        if name.endswith(".whl"):
            return wheel(name)
        if name not in self._projects:
            return None
        self.asked.add(name)
        versions = [NEWER, PINNED] if name in PINNED_NEEDS else [NEWER]
        files = [file_of(name, version) for version in versions]
        links = [LINK.format(file=file, digest=digest_of(file)) for file in files]
        return PAGE.format(links="".join(links)).encode()


@contextmanager
def serving(releases: NewerReleases) -> Iterator[str]:
    """The address of the index, on loopback, while the block runs."""

    def answer(request: HttpRequest) -> HttpAnswer:
        body = releases.answer(request.path)
        media_type = "application/zip" if request.path.endswith(".whl") else "text/html"
        return HttpAnswer(404 if body is None else 200, body or b"", media_type)

    with http_server(answer) as port:
        yield f"http://127.0.0.1:{port}/simple/"
