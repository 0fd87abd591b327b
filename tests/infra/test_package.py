"""The archive that Lambda gets."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from infra.aws.package import archive, prune


def tree(root: Path, names: list[str], *, modified: int, mode: int) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(mode)
        os.utime(file, (modified, modified))
    return root


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """Order of creation, times and umask differ between two machines; the archive does not."""
    names = ["api/app.py", "api/__init__.py", "litestar/app.py"]
    one = tree(tmp_path / "one", names, modified=1_700_000_000, mode=0o600)
    two = tree(tmp_path / "two", names[::-1], modified=1_800_000_000, mode=0o664)

    archive(one, tmp_path / "one.zip")
    archive(two, tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == sorted(names)


def test_every_file_can_be_read_by_the_user_that_lambda_runs_as(tmp_path: Path) -> None:
    """A file of mode 0600 fails there with a puzzling import error."""
    archive(tree(tmp_path / "one", ["a.py"], modified=1, mode=0o600), tmp_path / "one.zip")

    [entry] = zipfile.ZipFile(tmp_path / "one.zip").infolist()
    assert entry.external_attr >> 16 == 0o100644


def test_what_no_function_needs_stays_out(tmp_path: Path) -> None:
    """Megabytes of examples and colours would be paid for at each cold start."""
    kept = ["litestar/app.py", "litestar-2.25.0.dist-info/METADATA", "fakery/a.py"]
    unused = ["faker/a.py", "faker-40.0.dist-info/METADATA", "litestar/__pycache__/app.pyc"]
    folder = tree(tmp_path / "one", [*kept, *unused], modified=1, mode=0o644)

    prune(folder)

    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *kept
    }
