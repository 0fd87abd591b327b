"""Delivers webhooks: one batch at a time, until the endpoint has taken it."""

from __future__ import annotations

import asyncio
import contextlib

import httpx

from infra.local.ably.clock import Clock
from infra.local.ably.keys import Key
from infra.local.ably.webhooks import Backlog

_FACTOR = 2**0.5
_MAX_PAUSE_S = 60.0
_ANSWER_S = 10.0


class Delivery:
    """Posts to `url` as long as it is set. Pauses are in seconds."""

    def __init__(
        self, key: Key, clock: Clock, *, url: str, interval_s: float, retry_s: float
    ) -> None:
        self._news = asyncio.Event()
        self.backlog = Backlog(key, clock, self._news.set)
        self._interval_s = interval_s
        self._retry_s = retry_s
        self._url = ""
        self.turn_to(url)

    def turn_to(self, url: str) -> None:
        """Deliver there from now on; nowhere, and note nothing, when it is empty."""
        self._url = url
        self.backlog.is_wanted = bool(url)
        self.backlog.clear()
        self._news.set()

    async def run(self) -> None:
        """Deliver until cancelled. What fails is tried again, ever more slowly."""
        pause_s = self._retry_s
        # Loopback needs no proxy, and an environment that names one cannot mean us.
        async with httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False) as http:
            while True:
                self._news.clear()
                if not self._url or not self.backlog.batch():
                    await self._news.wait()
                elif await self._deliver(http):
                    pause_s = self._retry_s
                    await asyncio.sleep(self._interval_s)
                else:
                    await asyncio.sleep(pause_s)
                    pause_s = min(pause_s * _FACTOR, _MAX_PAUSE_S)

    async def _deliver(self, http: httpx.AsyncClient) -> bool:
        batch = self.backlog.batch()
        body, headers = self.backlog.signed(batch)
        with contextlib.suppress(httpx.HTTPError, httpx.InvalidURL):
            answer = await http.post(self._url, content=body, headers=headers)
            if answer.is_success:
                self.backlog.done(batch)
                return True
        return False
