"""`python -m infra.aws.package`: makes build/lambda.zip for all functions of serverless.yml.

The same sources give the same bytes: wheels are pinned by hashes, names are sorted, times and
modes are fixed. So AWS sees when a deployment changes nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

from infra.aws import bytecode, symbols

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
ARCHIVE = BUILD / "lambda.zip"
PYTHON = "3.13"
OURS = ("api", "functions")
REQUIREMENTS = "requirements.txt"
MANYLINUX = ("manylinux_2_28", "manylinux_2_17", "manylinux2014")

# No function uses them: makers of example data, command lines, tests, the part of cffi that
# compiles, the fast part of PyYAML (Litestar imports the other), the blocking parts of clients.
UNUSED = (
    *("faker", "polyfactory", "litestar/testing"),
    *("click", "rich", "rich_click", "pygments", "markdown_it", "markdown_it_py", "mdurl", "bin"),
    *("api/cli", "litestar/cli"),
    *("cffi", "pycparser", "_yaml"),
    *("ably/sync", "websockets/sync", "websockets/legacy"),
)
LEFT_OUT = (
    *("__pycache__", "*.pyc", "*.pyi", "*.pyx", "*.pxd", "*.h", "*.c"),
    *("direct_url.json", "RECORD", "INSTALLER", "REQUESTED", "sboms"),
    "_yaml.*.so",
)

# The earliest time that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE = 0o100644 << 16
EXECUTABLE = 0o100755 << 16


@dataclass(frozen=True, slots=True)
class Target:
    """The Python version and the processor that will run the archive."""

    python: str
    machine: str
    requirements: str = REQUIREMENTS

    @property
    def platforms(self) -> list[str]:
        return [f"{name}_{self.machine}" for name in MANYLINUX]


def main(words: list[str] | None = None) -> int:
    """Make the archive. Returns the exit status: the installer's if it failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m infra.aws.package", description=__doc__)
    parser.add_argument("--python", default=PYTHON, help="version that will run it")
    parser.add_argument("--machine", default="aarch64", help="aarch64 or x86_64")
    parser.add_argument(
        "--requirements",
        default=REQUIREMENTS,
        help="requirements-container.txt adds the server, for AWS's Web Adapter",
    )
    parser.add_argument(
        "--extensions",
        default=os.environ.get("MILLRACE_EXTENSIONS", "").strip(),
        help="modules of yours, comma separated; by default those of MILLRACE_EXTENSIONS",
    )
    parser.add_argument(
        "--page",
        default=os.environ.get("MILLRACE_WEB_ROOT", "").strip(),
        help="a folder that the functions serve at /; by default that of MILLRACE_WEB_ROOT",
    )
    parser.add_argument("--to", type=Path, default=ARCHIVE, help="the archive")
    given = parser.parse_args(words)
    tree: Path = given.to.with_suffix("")
    modules = [name.strip() for name in given.extensions.split(",") if name.strip()]
    if status := build(Target(given.python, given.machine, given.requirements), tree):
        return status
    for module in modules:
        add_extension(module, tree)
    if given.page:
        add_page(Path(given.page), tree)
    archive(tree, given.to)
    print(f"{given.to}: {given.to.stat().st_size / 1e6:.1f} MB")  # noqa: T201
    return 0


def build(target: Target, tree: Path) -> int:
    """Fill the folder `tree` with what the archive is to hold. Returns the installer's status."""
    shutil.rmtree(tree, ignore_errors=True)
    installed = subprocess.run(_install(target, tree), cwd=ROOT, check=False)  # noqa: S603 - fixed words
    if installed.returncode:
        return installed.returncode
    for package in OURS:
        shutil.copytree(ROOT / package, tree / package)
    prune(tree)
    for library in tree.rglob("*.so"):
        symbols.blank(library)
    if not bytecode.compile_cold_start(tree, python=target.python, ours=OURS):
        print(  # noqa: T201
            f"no Python {target.python} here: cold starts will compile, and take twice as long",
            file=sys.stderr,
        )
    return 0


def add_extension(module: str, tree: Path) -> None:
    """Copy a team's module, or its whole package. Raises `SystemExit` when it is not found."""
    top = module.partition(".")[0]
    spec = PathFinder.find_spec(top, [str(ROOT), *sys.path])
    if spec is None or spec.origin is None:
        raise SystemExit(f"the extension {module} is not on the Python path")
    if spec.submodule_search_locations is None:
        shutil.copy(spec.origin, tree)
        return
    ignored = shutil.ignore_patterns(*LEFT_OUT)
    shutil.copytree(Path(spec.origin).parent, tree / top, ignore=ignored)


def add_page(folder: Path, tree: Path) -> None:
    """Copy a page to where the functions look for it. Raises `SystemExit` without `index.html`."""
    if not (folder / "index.html").is_file():
        raise SystemExit(f"the page {folder} has no index.html")
    shutil.copytree(folder, tree / "page")


def _install(target: Target, tree: Path) -> list[str]:
    what = ["--target", str(tree), "--require-hashes", "-r", str(ROOT / target.requirements)]
    version = ["--python-version", target.python, "--only-binary", ":all:", "--no-deps"]
    if uv := shutil.which("uv"):
        platform = ["--python-platform", target.platforms[0].replace(*_uv_spelling(target))]
        return [uv, "pip", "install", "--quiet", *what, *version, *platform]
    platforms = [word for platform in target.platforms for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    return [*pip, *what, *version, *platforms]


def _uv_spelling(target: Target) -> tuple[str, str]:
    return f"{MANYLINUX[0]}_{target.machine}", f"{target.machine}-{MANYLINUX[0]}"


def prune(folder: Path) -> None:
    """Remove what no function needs, and what differs between two installations."""
    for name in UNUSED:
        shutil.rmtree(folder / name, ignore_errors=True)
        for metadata in folder.glob(f"{name}-*.dist-info"):
            shutil.rmtree(metadata)
    for pattern in LEFT_OUT:
        for found in sorted(folder.rglob(pattern)):
            shutil.rmtree(found) if found.is_dir() else found.unlink(missing_ok=True)


def archive(folder: Path, to: Path) -> None:
    """Zip the files of `folder`: the same names and contents give the same bytes."""
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as zipped:
        for file in sorted(_files(folder)):
            entry = zipfile.ZipInfo(file.relative_to(folder).as_posix(), EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            content = file.read_bytes()
            # A script must be executable even if the sources were checked out without modes.
            entry.external_attr = EXECUTABLE if content.startswith(b"#!/bin/sh") else READABLE
            zipped.writestr(entry, content)


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
