"""Makes bytecode of the modules that a cold start imports.

The folder of a function is read-only, so without bytecode each cold start would compile the
sources again, which takes longer than all else. It is marked to be used unchecked, because all
times in the archive are fixed, and Python would find other bytecode stale. For packages that are
not ours it replaces the source, which makes the archive smaller; tracebacks still name files and
lines.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ENTRIES = ("functions.http", "functions.stream", "functions.worker")

_LIST = f"""
import importlib, json, sys
for name in {ENTRIES!r}:
    importlib.import_module(name)
print(json.dumps(sorted(name for name, module in sys.modules.items() if module)))
"""
_COMPILE = """
import json, os, py_compile, sys
unchecked = py_compile.PycInvalidationMode.UNCHECKED_HASH
for source, to in json.load(sys.stdin):
    py_compile.compile(source, to, dfile=source, doraise=True, invalidation_mode=unchecked)
    if to:
        os.unlink(source)
"""


def compile_cold_start(tree: Path, *, python: str, ours: Collection[str]) -> bool:
    """Compile in `tree` what the functions import. Returns False without that Python."""
    interpreter = find_interpreter(python)
    if interpreter is None:
        return False
    sources = [source.relative_to(tree) for source in _sources(tree)]
    jobs = [
        (str(source), None if source.parts[0] in ours else str(source.with_suffix(".pyc")))
        for source in sources
    ]
    # Bytecode holds sets in the order of their hashes, which would differ from run to run.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run(  # noqa: S603 - fixed words
        [interpreter, "-I", "-c", _COMPILE],
        input=json.dumps(jobs),
        cwd=tree,
        env=environment,
        text=True,
        check=True,
    )
    return True


def find_interpreter(version: str) -> str | None:
    """A Python of this version from the path or from pyenv; None if there is none."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    names = [sys.executable, f"python{version}"]
    names += map(str, sorted(root.glob(f"versions/{version}.*/bin/python{version}")))
    return next((name for name in names if shutil.which(name) and _is(version, name)), None)


def _is(version: str, name: str) -> bool:
    ask = [name, "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    answer = subprocess.run(ask, capture_output=True, text=True, check=False)  # noqa: S603
    return answer.stdout.strip() == version


def _sources(tree: Path) -> list[Path]:
    candidates = [tree.joinpath(*name.split(".")) for name in _imported()]
    files = [path for one in candidates for path in (one.with_suffix(".py"), one / "__init__.py")]
    return [file for file in files if file.is_file()]


def _imported() -> list[str]:
    """The modules that the functions import here, before their first event."""
    settings = {
        "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:9",
        "UPSTASH_REDIS_REST_TOKEN": "none",
        "MILLRACE_SECRET": "0123456789abcdef" * 2,
        "MILLRACE_JOBS_QUEUE_URL": "http://127.0.0.1:9/0/jobs",
    }
    kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
    listed = subprocess.run(  # noqa: S603 - fixed words
        [sys.executable, "-c", _LIST],
        cwd=ROOT,
        env=kept | settings,
        capture_output=True,
        text=True,
        check=True,
    )
    names: list[str] = json.loads(listed.stdout)
    return names


def _is_setting(name: str) -> bool:
    return name.startswith(("MILLRACE_", "UPSTASH_", "ABLY_"))
