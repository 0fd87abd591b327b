"""The archive that Lambda gets."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import _cffi_backend
import pytest

from infra.aws import bytecode, symbols
from infra.aws.package import add_extension, add_page, archive, prune
from tests.support.programs import run_alone

SHOW = """
import sys
sys.path[:0] = ["."]
import api, litestar
print(api.made, litestar.made)
"""


def tree(root: Path, names: list[str], *, modified: int, mode: int) -> Path:
    for name in names:
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
        file.chmod(mode)
        os.utime(file, (modified, modified))
    return root


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    """The archive does not depend on order, times or umask of a machine."""
    names = ["api/app.py", "api/__init__.py", "litestar/app.py"]
    one = tree(tmp_path / "one", names, modified=1_700_000_000, mode=0o600)
    two = tree(tmp_path / "two", names[::-1], modified=1_800_000_000, mode=0o664)

    archive(one, tmp_path / "one.zip")
    archive(two, tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert zipfile.ZipFile(tmp_path / "one.zip").namelist() == sorted(names)


def test_every_file_can_be_read_by_the_user_that_lambda_runs_as(tmp_path: Path) -> None:
    """On Lambda a file of mode 0600 fails with an import error."""
    archive(tree(tmp_path / "one", ["a.py"], modified=1, mode=0o600), tmp_path / "one.zip")

    [entry] = zipfile.ZipFile(tmp_path / "one.zip").infolist()
    assert entry.external_attr >> 16 == 0o100644


@pytest.mark.parametrize(
    ("module", "files"),
    [("shop", {"shop.py"}), ("store.events", {"store/__init__.py", "store/events.py"})],
)
def test_modules_of_a_team_go_along(
    module: str, files: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What MILLRACE_EXTENSIONS names has to be where the functions look for it."""
    tree(tmp_path / "team", sorted(files), modified=1, mode=0o644)
    monkeypatch.syspath_prepend(str(tmp_path / "team"))
    (tmp_path / "tree").mkdir()

    add_extension(module, tmp_path / "tree")

    found = (path for path in (tmp_path / "tree").rglob("*") if path.is_file())
    assert {str(path.relative_to(tmp_path / "tree")) for path in found} == files


def test_a_module_that_is_not_there_stops_the_packaging(tmp_path: Path) -> None:
    """Without it each start of each function would fail."""
    with pytest.raises(SystemExit, match="no_such_shop"):
        add_extension("no_such_shop", tmp_path)


def test_a_page_goes_along_to_where_the_functions_serve_it(tmp_path: Path) -> None:
    """A folder without a page stops the packaging."""
    page = tree(tmp_path / "dist", ["index.html", "assets/app.js"], modified=1, mode=0o644)

    add_page(page, tmp_path / "tree")

    told = subprocess.run(
        [sys.executable, "-c", "from functions.settings import PAGE; print(PAGE.name)"],
        check=True,
        capture_output=True,
        text=True,
    )
    assert (tmp_path / "tree" / told.stdout.strip() / "assets" / "app.js").is_file()
    with pytest.raises(SystemExit, match=r"index\.html"):
        add_page(tmp_path / "nowhere", tmp_path / "other")


def test_what_no_function_needs_stays_out(tmp_path: Path) -> None:
    """Packages that no function uses would make each cold start slower."""
    kept = ["litestar/app.py", "litestar-2.25.0.dist-info/METADATA", "fakery/a.py"]
    unused = ["faker/a.py", "faker-40.0.dist-info/METADATA", "litestar/__pycache__/app.pyc"]
    folder = tree(tmp_path / "one", [*kept, *unused], modified=1, mode=0o644)

    prune(folder)

    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        *kept
    }


def test_a_script_can_be_executed_however_it_was_checked_out(tmp_path: Path) -> None:
    """Lambda starts the streaming loop by a script."""
    script = tmp_path / "one" / "bootstrap"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\nexec true\n")
    script.chmod(0o600)

    archive(script.parent, tmp_path / "one.zip")

    [entry] = zipfile.ZipFile(tmp_path / "one.zip").infolist()
    assert entry.external_attr >> 16 == 0o100755


def test_a_library_without_its_symbols_is_still_loaded(tmp_path: Path) -> None:
    """Only what no loader reads may be zeroed."""
    source = Path(str(_cffi_backend.__file__))
    library = Path(shutil.copy(source, tmp_path))

    symbols.blank(library)

    loaded = subprocess.run(
        [sys.executable, "-S", "-c", "import _cffi_backend; _cffi_backend.FFI()"],
        env={"PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert library.stat().st_size == source.stat().st_size
    assert len(zlib.compress(library.read_bytes())) <= len(zlib.compress(source.read_bytes()))


def test_bytecode_is_used_though_every_time_in_an_archive_is_the_same(tmp_path: Path) -> None:
    """Bytecode that is checked by time would be compiled again at each cold start."""
    folder = tmp_path / "one"
    for name in ("api", "litestar"):
        (folder / name).mkdir(parents=True)
        (folder / name / "__init__.py").write_text("made = 'compiled'\n")

    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert bytecode.compile_cold_start(folder, python=version, ours=["api"])
    (folder / "api" / "__init__.py").write_text("made = 'again'\n")

    said = run_alone(SHOW, folder)
    assert said.stdout.split() == ["compiled", "compiled"], said.stderr
    assert not (folder / "litestar" / "__init__.py").exists()


def test_without_the_interpreter_that_will_run_it_there_is_no_bytecode(tmp_path: Path) -> None:
    """Bytecode of another version would not be used."""
    assert not bytecode.compile_cold_start(tmp_path, python="3.99", ours=[])
