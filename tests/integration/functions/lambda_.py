"""The function's module, imported and invoked as the Lambda runtime does it: in one thread."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType
from typing import Any, Self, TypeVar

from api.settings import Settings
from tests.support.local_server import ROOT

T = TypeVar("T")


class Function:
    """One execution environment: the module is imported once, then invoked again and again."""

    def __init__(self, settings: Settings, *, window_s: float) -> None:
        self._environ = {
            "UPSTASH_REDIS_REST_URL": settings.upstash_url,
            "UPSTASH_REDIS_REST_TOKEN": settings.upstash_token.get_secret_value(),
            "MILLRACE_SECRET": settings.secret.get_secret_value(),
            "MILLRACE_ENV": "local",
            "MILLRACE_WINDOW_S": str(window_s),
            "MILLRACE_POLL_MIN_MS": "10",
            "MILLRACE_POLL_IDLE_MS": "20",
        }
        if settings.ably_api_key is not None:
            self._environ["ABLY_API_KEY"] = settings.ably_api_key.get_secret_value()
            self._environ["MILLRACE_ABLY_URL"] = settings.ably_url or ""
        self._thread = ThreadPoolExecutor(1)
        self.module: Any = None

    def __enter__(self) -> Self:
        self.module = self.run(self._import)
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._end)
        self._thread.shutdown()

    def invoke(self, event: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self.run(lambda: self.module.handler(event, None))
        return answer

    def run(self, call: Callable[[], T]) -> T:
        """The result of `call` on the function's thread."""
        return self._thread.submit(call).result(60)

    def _import(self) -> ModuleType:
        path = ROOT / "functions" / "http.py"
        spec = importlib.util.spec_from_file_location("function_under_test", path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        before = dict(os.environ)
        os.environ.update(self._environ)
        try:
            spec.loader.exec_module(module)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return module

    def _end(self) -> None:
        loop = asyncio.get_event_loop()
        self.module.lifespan.cancel()
        loop.run_until_complete(asyncio.wait([self.module.lifespan]))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
        asyncio.set_event_loop(None)
