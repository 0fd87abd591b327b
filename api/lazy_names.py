"""Names of a package's face that are loaded when they are first asked for."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any


def lazy_names(package: str, modules: Sequence[str]) -> Callable[[str], Any]:
    """The `__getattr__` of `package` (PEP 562) for all names that stand in these of its modules.

    They are loaded in this order until one has the name. It raises `AttributeError` for others.
    """

    def load(name: str) -> Any:
        # Python itself asks for names such as `__path__`; that must not load anything.
        for module in () if name.startswith("_") else modules:
            found = vars(import_module(f"{package}.{module}"))
            if name in found:
                return found[name]
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return load
