"""Waits until a server says that it can serve."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from urllib.parse import urlsplit

_PAUSE_S = 0.05
_ANSWER_S = 5.0


class NotHealthy(Exception):
    """The server was not ready in time. The text holds its last answer."""


async def healthy(url: str, *, within_s: float) -> None:
    """Return once `url` answers 200. Raises NotHealthy."""
    last = "no answer"
    try:
        async with asyncio.timeout(within_s):
            while True:
                status, last = await _get(url)
                if status == HTTPStatus.OK:
                    return
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        raise NotHealthy(f"{url} was not ready within {within_s:g} s: {last}") from None


async def _get(url: str) -> tuple[int, str]:
    """The status and body of one answer; status 0 without an answer. It uses no proxy."""
    parts = urlsplit(url)
    request = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    try:
        async with asyncio.timeout(_ANSWER_S):
            reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
            try:
                writer.write(request.encode())
                answer = await reader.read()
            finally:
                writer.close()
    except TimeoutError:
        return 0, "no answer"
    except OSError as error:
        return 0, str(error)
    head, _, body = answer.partition(b"\r\n\r\n")
    status = head[:12].rpartition(b" ")[2]
    return int(status) if status.isdigit() else 0, body.decode(errors="replace")[:500]
