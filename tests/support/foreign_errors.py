"""What code that is not ours may raise."""

from __future__ import annotations

import asyncio


class Panic(BaseException):
    """As extensions in Rust raise them."""


def ends() -> list[BaseException]:
    """One of each kind that is no `Exception`."""
    return [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Panic(), asyncio.CancelledError()]
