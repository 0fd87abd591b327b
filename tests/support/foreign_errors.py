"""Exceptions that code of others may raise."""

from __future__ import annotations

import asyncio


class Panic(BaseException):
    """Like the panic of an extension in Rust, which is no `Exception`."""


def ends() -> list[BaseException]:
    """One of each kind that is no `Exception`."""
    return [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), Panic(), asyncio.CancelledError()]
