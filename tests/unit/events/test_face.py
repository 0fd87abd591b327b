"""The faces of packages: one import for all that others use."""

from __future__ import annotations

import ast
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FACES = ("api.events", "api.jobs")


def names_of(face: str) -> list[str]:
    """What the face imports, also what only type checkers see it import."""
    source = (ROOT / face.replace(".", "/") / "__init__.py").read_text()
    imports = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom)]
    ours = [node for node in imports if (node.module or "").startswith(face)]
    return [name.asname or name.name for node in ours for name in node.names]


@pytest.mark.parametrize(("face", "name"), [(face, n) for face in FACES for n in names_of(face)])
def test_every_name_of_a_face_is_there(face: str, name: str) -> None:
    """Those that need the web framework, or only some processes, are loaded when asked for."""
    assert getattr(import_module(face), name) is not None


@pytest.mark.parametrize("face", FACES)
def test_a_name_that_is_nowhere_is_an_attribute_error(face: str) -> None:
    """As it is for any module."""
    with pytest.raises(AttributeError, match="Nowhere"):
        _ = import_module(face).Nowhere
