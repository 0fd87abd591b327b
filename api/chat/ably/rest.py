"""Calls Ably's REST API through Ably's SDK, with time-outs and errors of our own.

The SDK is loaded with the first call, because that takes longer than the rest of a cold start. Only
its general `request` is used: its other methods decode data in their own way, and hide the HTTP
status.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec
import structlog

from api.chat.ably.key import AblyKey
from api.chat.problems import AblyRefused, AblyUnavailable
from api.problems import PublishUncertain

VERSION: Final = "3"  # of Ably's protocol
CONNECT_S: Final = 2
REQUEST_S: Final = 3
HOSTS: Final = 2  # that the SDK tries at most, Ably's main one included
WHOLE_CALL_S: Final = 8.0
RENEWABLE: Final = "4014"  # how the error codes of an expired token begin
PASSES: Final = 503  # the status of an error that has none: it may pass
OK: Final = range(200, 300)
PASSING: Final = frozenset({408, 429, *range(500, 600)})  # a later try may succeed
SAFE: Final = ":"  # not escaped in the path of a channel

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AblyPage:
    """One page of messages or of presence entries, in the JSON form in which Ably sends them.

    `following` holds the query parameters that ask for the next page, None on the last page.
    """

    items: Sequence[Mapping[str, Any]]
    following: Mapping[str, str] | None = None


class AblyRest:
    """Calls the REST API of one Ably application.

    `url` is another server that speaks Ably's protocol, None for Ably itself. `request_s` is the
    time-out of one HTTP request in seconds. Calls raise AblyUnavailable when there is no answer in
    time, and AblyRefused when Ably does not do what is asked. A call that failed is repeated once,
    because a connection may have died while the function was frozen; a repeat does no harm.
    """

    def __init__(
        self, key: AblyKey, url: str | None = None, *, request_s: float = REQUEST_S
    ) -> None:
        self._key = key
        self._url = url
        self._request_s = request_s
        self._loop: asyncio.AbstractEventLoop | None = None
        self._of_loop: Any = None

    async def publish(self, channel: str, message: Mapping[str, Any]) -> None:
        """Send `message`, in Ably's JSON form, to a channel. Its `id` makes repeats harmless.

        Raises AblyRefused, and PublishUncertain when it is not known whether the message was sent.
        """
        body = msgspec.json.encode(message).decode()
        path = f"/channels/{quote(channel, safe=SAFE)}/messages"
        try:
            await self._call("POST", path, body=body)
        except AblyUnavailable as error:
            raise PublishUncertain from error

    async def history(self, channel: str, params: Mapping[str, str]) -> AblyPage:
        """Return one page of a channel's messages.

        `params` are Ably's query parameters, such as `limit` and `direction`, or a page's
        `following`.
        """
        answer = await self._call(
            "GET", f"/channels/{quote(channel, safe=SAFE)}/messages", params=params
        )
        return AblyPage(answer.items, _following(answer))

    async def presence(self, channel: str, *, limit: int) -> AblyPage:
        """Return who is present on a channel now, `limit` entries at most."""
        path = f"/channels/{quote(channel, safe=SAFE)}/presence"
        answer = await self._call("GET", path, params={"limit": str(limit)})
        return AblyPage(answer.items, _following(answer))

    async def revoke(self, client_id: str) -> None:
        """Revoke all tokens of a client that were issued until now.

        Raises AblyRefused also when Ably answers that it did not revoke them.
        """
        # A token may not revoke tokens. Over plain http the SDK uses one, so the key is sent too.
        headers = {"Authorization": f"Basic {self._key.basic}"}
        body = msgspec.json.encode({"targets": [f"clientId:{client_id}"]}).decode()
        path = f"/keys/{self._key.name}/revokeTokens"
        answer = await self._call("POST", path, body=body, headers=headers)
        if any(item.get("failureCount") for item in answer.items):
            raise AblyRefused("Tokens were not revoked.")

    async def close(self) -> None:
        """Close the connections that were opened in the running event loop.

        Those of other loops ended with their loop. A later call opens new ones.
        """
        client, self._of_loop = self._of_loop, None
        if client is not None and self._loop is asyncio.get_running_loop():
            await client.close()

    async def _call(self, method: str, path: str, **options: Any) -> Any:
        try:
            async with asyncio.timeout(WHOLE_CALL_S):
                try:
                    return await self._once(method, path, options)
                except AblyUnavailable:
                    return await self._once(method, path, options)
        except TimeoutError as error:
            raise AblyUnavailable from error

    async def _once(self, method: str, path: str, options: Mapping[str, Any]) -> Any:
        try:
            client = await self._client()
            answer = await client.request(method, path, VERSION, **options)
        except Exception as error:
            # The SDK lets everything through: its own errors, those of httpx, of msgpack.
            log.warning("ably.failed", error=type(error).__name__)
            raise _kind(getattr(error, "status_code", None) or PASSES) from error
        if answer.status_code in OK:
            return answer
        log.warning("ably.refused", status=answer.status_code, code=answer.error_code)
        if str(answer.error_code).startswith(RENEWABLE):
            await self.close()  # the next client makes another one
            raise AblyUnavailable
        raise _kind(answer.status_code)

    async def _client(self) -> Any:
        """Return the SDK's client for the running loop: connections must not outlive their loop."""
        loop = asyncio.get_running_loop()
        if self._of_loop is None or self._loop is not loop:
            sdk = await asyncio.to_thread(import_module, "ably")
            self._loop, self._of_loop = loop, sdk.AblyRest(**self._options())
        return self._of_loop

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {
            # As two texts: the SDK takes a secret that holds a colon for a mistake.
            "key_name": self._key.name,
            "key_secret": self._key.secret,
            "use_binary_protocol": False,
            "http_open_timeout": CONNECT_S,
            "http_request_timeout": self._request_s,
            "http_max_retry_count": HOSTS,
            "http_max_retry_duration": self._request_s,
        }
        return options | _endpoint(self._url)


def _kind(status: int) -> type[AblyUnavailable | AblyRefused]:
    return AblyUnavailable if status in PASSING else AblyRefused


def _endpoint(url: str | None) -> dict[str, Any]:
    if url is None:
        return {}
    parts = urlsplit(url)
    if parts.scheme == "https":
        return {"endpoint": parts.hostname, "tls_port": parts.port or 443}
    # The SDK sends no key over plain http. It signs a token request with it instead; this
    # token may publish in the name of everybody.
    return {
        "endpoint": parts.hostname,
        "port": parts.port or 80,
        "tls": False,
        "use_token_auth": True,
        "default_token_params": {"client_id": "*"},
    }


def _following(answer: Any) -> dict[str, str] | None:
    link = answer.response.links.get("next")
    return dict(parse_qsl(urlsplit(link["url"]).query)) if link else None
