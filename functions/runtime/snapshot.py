"""Hooks that run before a snapshot of the process, and after each restore of it (SnapStart).

AWS's runtimes bring a registry of such hooks, `snapshot_restore_py`, which is used where it
exists: so the hooks of others run here, and ours run under AWS's own loop. Elsewhere it is a list.
Source: https://docs.aws.amazon.com/lambda/latest/dg/snapstart-runtime-hooks-python.html
"""

from collections.abc import Callable
from functools import partial
from importlib import import_module, util
from typing import Any

Hook = Callable[[], object]

_REGISTRY = "snapshot_restore_py"
_before: list[Hook] = []
_after: list[Hook] = []


def before_snapshot(hook: Hook) -> Hook:
    """Call `hook` before the snapshot. Hooks run in the reverse order of registration."""
    if vendor := _vendor():
        vendor.register_before_snapshot(hook)
    else:
        _before.append(hook)
    return hook


def after_restore(hook: Hook) -> Hook:
    """Call `hook` in each restored process. Hooks run in the order of registration."""
    if vendor := _vendor():
        vendor.register_after_restore(hook)
    else:
        _after.append(hook)
    return hook


def run_before_snapshot() -> None:
    vendor = _vendor()
    for hook in reversed(_calls(vendor.get_before_snapshot()) if vendor else _before):
        hook()


def run_after_restore() -> None:
    vendor = _vendor()
    for hook in _calls(vendor.get_after_restore()) if vendor else _after:
        hook()


def _vendor() -> Any:
    return import_module(_REGISTRY) if util.find_spec(_REGISTRY) else None


def _calls(registered: Any) -> list[Hook]:
    return [partial(hook, *args, **kwargs) for hook, args, kwargs in registered]
