"""How each server takes events: one line per payload, or the product's HTTP API."""

from collections.abc import Sequence
from typing import Protocol

import httpx

_TIMEOUT_S = 30.0


class Publisher(Protocol):
    async def publish(self, payloads: Sequence[bytes]) -> None:
        """Publish JSON payloads in this order. Raises httpx.HTTPError when any is refused."""


class LinePublisher:
    """The floor's and the peer's: a POST whose lines are the payloads."""

    def __init__(self, url: str, http: httpx.AsyncClient) -> None:
        self._url = url
        self._http = http

    async def publish(self, payloads: Sequence[bytes]) -> None:
        reply = await self._http.post(self._url, content=b"\n".join(payloads))
        reply.raise_for_status()


class TopicPublisher:
    """Millrace's: `POST /api/events/{topic}` for one event, the batch endpoint for several."""

    def __init__(self, url: str, topic: str, http: httpx.AsyncClient) -> None:
        self._url = f"{url}/api/events"
        self._topic = topic
        self._http = http

    async def publish(self, payloads: Sequence[bytes]) -> None:
        if len(payloads) == 1:
            await self._post(
                f"{self._url}/{self._topic}", b'{"type":"tick","data":%b}' % payloads[0]
            )
            return
        start = b'{"topic":"%b","type":"tick","data":' % self._topic.encode()
        await self._post(
            self._url, b'{"events":[%b]}' % b",".join(start + each + b"}" for each in payloads)
        )

    async def _post(self, url: str, body: bytes) -> None:
        reply = await self._http.post(
            url, content=body, headers={"Content-Type": "application/json"}
        )
        if reply.is_error:
            raise httpx.HTTPStatusError(reply.text, request=reply.request, response=reply)


def http_client(token: str | None = None) -> httpx.AsyncClient:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S, trust_env=False)
