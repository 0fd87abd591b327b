"""Lets a package export names whose modules are imported when such a name is first used."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Sequence[str]) -> Callable[[str], Any]:
    """Return a module-level `__getattr__` (PEP 562) for `package`.

    For a name that the package does not have, it imports `modules`, which are named relative to the
    package, in this order until one has the name; names that this module has imported count too. It
    raises `AttributeError` if none has it, and for every name that begins with an underscore.
    """

    def load(name: str) -> Any:
        # Python itself asks for names such as `__path__`; that must not load anything.
        for module in () if name.startswith("_") else modules:
            found = vars(import_module(f"{package}.{module}"))
            if name in found:
                return found[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
