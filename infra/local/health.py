"""Waits until a server says that it can serve."""

from __future__ import annotations

import asyncio

import httpx

_PAUSE_S = 0.05
_ANSWER_S = 5.0
_SHOWN = 500


class NotHealthy(Exception):
    """The server was not ready in time. The text holds its last answer."""


async def healthy(url: str, *, within_s: float) -> None:
    """Return once `url` answers 200. Raises NotHealthy."""
    last = "no answer"
    # No TLS and no proxy: the server is on loopback.
    http = httpx.AsyncClient(timeout=_ANSWER_S, trust_env=False, verify=False)  # noqa: S501 - as said
    try:
        async with asyncio.timeout(within_s), http:
            while True:
                try:
                    answer = await http.get(url)
                    if answer.status_code == httpx.codes.OK:
                        return
                    last = answer.text[:_SHOWN]
                except httpx.HTTPError as error:
                    last = str(error) or "no answer"
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise NotHealthy(f"{url} was not ready within {within_s:g} s: {last}") from None
