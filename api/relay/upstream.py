"""One connection to an upstream: opened to allowed hosts and addresses only, read until it ends."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from enum import StrEnum
from functools import cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from socket import SOCK_STREAM
from ssl import SSLContext

import httpx

from api.settings.relay_sources import RelaySource

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 3
# Networks whose addresses stand for any IPv4 address, a private one too.
EMBEDDING = (ip_network("64:ff9b::/96"), ip_network("2002::/16"))


class UpstreamFault(StrEnum):
    """Why an upstream cannot be read now. Readers see this code, and nothing of its own words."""

    UNREACHABLE = "upstream-unreachable"
    """No connection could be made, or it took too long."""
    UNAUTHORIZED = "upstream-unauthorized"
    """It answered 401 or 403: check the headers that are set for the source."""
    NOT_FOUND = "upstream-not-found"
    """It answered 404 or 410."""
    REFUSED = "upstream-refused"
    """It answered any other status below 500 that is not 200."""
    FAILED = "upstream-failed"
    """It answered 500 or above."""
    NOT_A_STREAM = "upstream-not-a-stream"
    """Its answer is not `text/event-stream`, or is compressed."""
    REDIRECTED = "upstream-redirected"
    """It redirects too often, or to where this source does not allow."""
    ADDRESS = "upstream-address-not-allowed"
    """Its name leads to an address that is not public, which this source does not allow."""
    SILENT = "upstream-silent"
    """It has sent nothing for `silence_s` seconds."""
    CUT = "upstream-cut"
    """The connection broke, or ended within an event."""
    TOO_LONG = "upstream-too-long"
    """It sends a line that does not end."""


OF_STATUS = {
    401: UpstreamFault.UNAUTHORIZED,
    403: UpstreamFault.UNAUTHORIZED,
    404: UpstreamFault.NOT_FOUND,
    410: UpstreamFault.NOT_FOUND,
}


class UpstreamError(Exception):
    """Raised when a connection could not be made, or broke; `fault` says why."""

    def __init__(self, fault: UpstreamFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class Upstream:
    """The upstream of one source. It holds no connection except while `chunks` is read.

    With `https_only` it follows no redirect to plain HTTP.
    """

    def __init__(self, source: RelaySource, *, https_only: bool) -> None:
        self._source = source
        self._https_only = https_only
        self._url = httpx.URL(source.url.get_secret_value())
        self._tries = -1
        self._hosts = {self._url.host, *(host.lower() for host in source.hosts)}

    async def chunks(self, last_id: str) -> AsyncGenerator[bytes, None]:
        """Connect, yield an empty chunk when the stream is open, and then its bytes until it ends.

        `last_id` is sent as `Last-Event-ID`, unless it is empty. Raises `UpstreamError`.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S + self._source.silence_s):
                    response = await self._open(stack, last_id)
                yield b""
                async for chunk in response.aiter_raw():
                    yield chunk
            except httpx.ReadTimeout as error:
                raise UpstreamError(UpstreamFault.SILENT) from error
            except (httpx.ConnectError, httpx.ConnectTimeout, OSError, TimeoutError) as error:
                raise UpstreamError(UpstreamFault.UNREACHABLE) from error
            except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
                raise UpstreamError(UpstreamFault.CUT) from error

    async def _open(self, stack: AsyncExitStack, last_id: str) -> httpx.Response:
        timeout = httpx.Timeout(self._source.silence_s, connect=CONNECT_TIMEOUT_S)
        # A client for each stream: its connection lives as long, so there is nothing to pool.
        client = await stack.enter_async_context(
            httpx.AsyncClient(timeout=timeout, trust_env=False, verify=_authorities())
        )
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            request = await self._request(client, url, last_id)
            response = await client.send(request, stream=True)
            stack.push_async_callback(response.aclose)
            if not response.has_redirect_location:
                return _checked(response)
            url = self._followed(url, response.headers["location"])
        raise UpstreamError(UpstreamFault.REDIRECTED)

    async def _request(
        self, client: httpx.AsyncClient, url: httpx.URL, last_id: str
    ) -> httpx.Request:
        """Build the request to a checked address: a second look-up could give another."""
        headers = {
            "Host": url.netloc.decode(),
            "Accept": "text/event-stream",
            "Accept-Encoding": "identity",  # a small chunk stays small
            "Cache-Control": "no-store",
            "Connection": "close",
            **self._secrets(url),
        }
        if last_id:
            headers["Last-Event-ID"] = last_id
        address = await self._address(url)
        return client.build_request(
            "GET",
            url.copy_with(host=address),
            headers=[(name.encode(), value.encode()) for name, value in headers.items()],
            extensions={"sni_hostname": url.raw_host.decode()},
        )

    def _secrets(self, url: httpx.URL) -> Mapping[str, str]:
        """Return the configured headers for a URL of the configured origin, otherwise none."""
        if _origin(url) != _origin(self._url):
            return {}
        return {name: value.get_secret_value() for name, value in self._source.headers.items()}

    def _followed(self, url: httpx.URL, location: str) -> httpx.URL:
        try:
            target = url.join(location)
        except httpx.InvalidURL as error:
            raise UpstreamError(UpstreamFault.REDIRECTED) from error
        schemes = {"https"} if self._https_only or url.scheme == "https" else {"http", "https"}
        is_listed = target.scheme in schemes and target.host in self._hosts
        if not is_listed or target.userinfo:
            raise UpstreamError(UpstreamFault.REDIRECTED)
        return target

    async def _address(self, url: httpx.URL) -> str:
        port = url.port or (443 if url.scheme == "https" else 80)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo(url.raw_host.decode(), port, type=SOCK_STREAM)
        addresses = [ip_address(str(one[4][0]).partition("%")[0]) for one in found]
        if not self._source.private and not all(_is_public(one) for one in addresses):
            raise UpstreamError(UpstreamFault.ADDRESS)
        self._tries += 1  # this host may have no route to the first address
        return str(addresses[self._tries % len(addresses)])


@cache
def _authorities() -> SSLContext:
    return httpx.create_ssl_context()


def _checked(response: httpx.Response) -> httpx.Response:
    status = response.status_code
    if status >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise UpstreamError(UpstreamFault.FAILED)
    if status != httpx.codes.OK:
        raise UpstreamError(OF_STATUS.get(status, UpstreamFault.REFUSED))
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = response.headers.get("content-encoding", "identity").lower()
    if kind != "text/event-stream" or encoding != "identity":
        raise UpstreamError(UpstreamFault.NOT_A_STREAM)
    return response


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if mapped is not None:
        address = mapped
    hidden = any(address in network for network in EMBEDDING if network.version == address.version)
    return address.is_global and not address.is_multicast and not hidden
