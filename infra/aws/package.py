"""`python -m infra.aws.package`: build/lambda.zip, for every function of serverless.yml.

The same sources give the same bytes: pinned and hashed wheels, sorted names, fixed times and
modes. So a deployment without a change is one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
VENDOR = BUILD / "lambda"
ARCHIVE = BUILD / "lambda.zip"

PYTHON_VERSION = "3.13"
UV_PLATFORM = "aarch64-manylinux_2_28"
PIP_PLATFORMS = ("manylinux_2_28_aarch64", "manylinux_2_17_aarch64", "manylinux2014_aarch64")
OURS = ("api", "functions")

# Litestar asks for them to invent examples and to colour its command line; no function does.
UNUSED = ("faker", "polyfactory", "rich", "rich_click", "pygments", "bin")
# Bytecode is compiled for another version here than the one that will run.
LEFT_OUT = ("__pycache__", "*.pyc", "*.pyi", "direct_url.json", "RECORD", "INSTALLER", "REQUESTED")

# The earliest time that a zip can hold.
EPOCH = (1980, 1, 1, 0, 0, 0)
READABLE = 0o100644 << 16


def main() -> int:
    """The exit status: 0, or what the installer said."""
    shutil.rmtree(VENDOR, ignore_errors=True)
    installed = subprocess.run(_install(), cwd=ROOT, check=False)  # noqa: S603 - fixed words
    if installed.returncode:
        return installed.returncode
    prune(VENDOR)
    for package in OURS:
        ignored = shutil.ignore_patterns(*LEFT_OUT)
        shutil.copytree(ROOT / package, VENDOR / package, ignore=ignored)
    archive(VENDOR, ARCHIVE)
    print(f"{ARCHIVE.relative_to(ROOT)}: {ARCHIVE.stat().st_size / 1e6:.1f} MB")  # noqa: T201
    return 0


def _install() -> list[str]:
    target = ["--target", str(VENDOR), "--require-hashes", "-r", str(ROOT / "requirements.txt")]
    version = ["--python-version", PYTHON_VERSION, "--only-binary", ":all:", "--no-deps"]
    if uv := shutil.which("uv"):
        platform = ["--python-platform", UV_PLATFORM]
        return [uv, "pip", "install", "--quiet", *target, *version, *platform]
    platforms = [word for platform in PIP_PLATFORMS for word in ("--platform", platform)]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile"]
    return [*pip, *target, *version, *platforms]


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
            entry.external_attr = READABLE
            zipped.writestr(entry, file.read_bytes())


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
