"""A client for Upstash Redis: the SDK with time-outs, exact errors and safe retries.

The SDK itself has no time-out, repeats writes without knowing whether they ran, hides the HTTP
status, and loses the good results of a pipeline with one bad item. This module therefore replaces
its transport. No other module of the application uses the SDK.
"""

import asyncio
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from copy import copy
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec
from upstash_redis.asyncio import Redis
from upstash_redis.http import AsyncHttpClient, make_headers

from api.retry import growing_pauses
from api.telemetry.meter import CommandMeter
from api.upstash.errors import BadGateway, NoReply, RedisError, Unreachable, classify
from api.upstash.script import Script
from api.upstash.transport import LostError, NotSentError, RestPool

CONNECT_TIMEOUT_S = 2.0
MAX_CONNECTIONS = 32  # of one client
SUBSCRIPTION_MAX_S = 300.0  # of silence after which a subscription is given up
ATTEMPTS = 3  # of one call, the first included
RETRY_S = (0.1, 1.0)  # shortest and longest pause between attempts

Command = Sequence[str | int | float]
"""A Redis command: its name and then its arguments."""
T = TypeVar("T")


class _Transport(AsyncHttpClient):
    """The SDK's transport on a pool of our own, one for each event loop."""

    # Not the SDK's own initialisation: that makes an HTTP client, which loads certificates.
    def __init__(self, url: str, timeout_s: float, sync_token: Callable[[str], None]) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._sync_token_cb = sync_token
        self._loop: asyncio.AbstractEventLoop | None = None

    def _pool(self) -> RestPool:
        """Return the pool of the running loop: connections must not outlive their loop."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop = loop
            self._of_loop = RestPool(
                self._url, size=MAX_CONNECTIONS, connect_timeout_s=CONNECT_TIMEOUT_S
            )
        return self._of_loop

    async def execute(
        self,
        url: str,
        headers: Mapping[str, str],
        command: Sequence[Any],
        from_pipeline: bool = False,  # noqa: FBT001, FBT002  # the SDK's signature
    ) -> Any:
        """Return the result; for a pipeline a list with a `RedisError` in place of a bad item."""
        status, reply, token = await self._post(url, headers, command)
        if token and self._sync_token_cb:
            self._sync_token_cb(token)
        if isinstance(reply, dict):
            return _item(reply, status, fail=True)
        if not from_pipeline or not isinstance(reply, list):
            raise BadGateway(f"unexpected answer with status {status}")
        return [_item(item, status, fail=False) for item in reply]

    async def _post(
        self, url: str, headers: Mapping[str, str], command: Sequence[Any]
    ) -> tuple[int, object, str | None]:
        path = urlsplit(url).path or "/"
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await self._pool().post(
                    path,
                    {**headers, "Content-Type": "application/json"},
                    msgspec.json.encode(command),
                )
        except NotSentError as error:
            raise Unreachable(str(error)) from error
        except (LostError, TimeoutError) as error:
            raise NoReply(str(error) or "out of time") from error
        try:
            reply = msgspec.json.decode(answer.body)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadGateway(f"status {answer.status} without JSON") from error
        return answer.status, reply, answer.headers.get("upstash-sync-token")

    async def close(self) -> None:
        if self._loop is asyncio.get_running_loop():
            await self._of_loop.close()


def _item(reply: Mapping[str, Any], status: int, *, fail: bool) -> Any:
    if (text := reply.get("error")) is None:
        return reply.get("result")
    error = classify(str(text), status)
    if fail:
        raise error
    return error


class _Sdk(Redis):
    """The SDK without the HTTP client of its own: loading certificates for it takes 50 ms."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._read_your_writes = True
        self._sync_token = ""
        self._allow_telemetry = False
        self._headers = make_headers(token, None, allow_telemetry=False)


class UpstashClient:
    """All access of this process to one Redis database.

    The methods raise `RedisError` and nothing else.

    `timeout_s` is the longest that one call may take, with all its attempts, in seconds. `meter`
    counts the commands as Upstash bills them. `rng` gives the jitter of the pauses between
    attempts.
    """

    def __init__(
        self,
        url: str,
        token: str,
        *,
        timeout_s: float,
        meter: CommandMeter,
        rng: random.Random | None = None,
    ) -> None:
        self._redis = _Sdk(url, token)
        self._url = url
        self._meter = meter
        self._timeout_s = timeout_s
        self._rng = rng or random.Random()  # noqa: S311  # jitter
        self._attach()

    def sibling(self) -> "UpstashClient":
        """Return a client of the same database with connections of its own.

        Its calls therefore never wait for a free connection of this client. It shares the meter.
        """
        twin = copy(self)
        twin._redis = copy(self._redis)
        twin._redis._headers = dict(self._redis._headers)
        twin._attach()
        return twin

    def _attach(self) -> None:
        """Replace the SDK's transport with ours. The SDK has no public hook for it."""
        self._transport = _Transport(self._url, self._timeout_s / 2, self._redis._update_sync_token)
        self._redis._http = self._transport

    async def read(self, *command: str | float) -> Any:
        """Run a command that changes nothing and return its result.

        It is retried after transient errors.
        """
        return await self._patiently(lambda: self._single(command), repeatable=True)

    async def write(self, *command: str | float, repeatable: bool = False) -> Any:
        """Run a command that changes data and return its result.

        It is retried after a transient error only if it was certainly not executed, or if
        `repeatable` says that running it twice does no harm.
        """
        return await self._patiently(lambda: self._single(command), repeatable=repeatable)

    async def pipeline(self, commands: Sequence[Command], *, repeatable: bool = False) -> list[Any]:
        """Run `commands` in one request, not atomically. Return their results in the same order.

        A failed command has a `RedisError` in place of its result. `repeatable` is as in `write`;
        it must hold for all of them.
        """
        return await self._patiently(
            lambda: self._many("pipeline", commands), repeatable=repeatable
        )

    async def transaction(
        self, commands: Sequence[Command], *, repeatable: bool = False
    ) -> list[Any]:
        """Run `commands` atomically (MULTI and EXEC). Return their results in the same order.

        A command that fails while it runs has a `RedisError` in place of its result, and the others
        stay done. Raises `RedisError` if Redis refuses the whole. `repeatable` is as in `write`.
        """
        return await self._patiently(
            lambda: self._many("multi-exec", commands), repeatable=repeatable
        )

    async def script(
        self,
        script: Script,
        *,
        keys: Sequence[str],
        args: Sequence[str | float],
        repeatable: bool = False,
    ) -> Any:
        """Run a Lua script atomically (EVAL) and return its result.

        `keys` must name all keys that the script touches. The script gets everything else, such as
        the current time, in `args`. `repeatable` is as in `write`.
        """

        async def run() -> Any:
            self._meter.add(["EVAL"])
            result = await self._redis.execute(["EVAL", script.source, len(keys), *keys, *args])
            self._meter.add(script.calls(result))
            return result

        return await self._patiently(run, repeatable=repeatable)

    async def listen(self, channel: str) -> AsyncGenerator[str, None]:
        """Subscribe to a pub/sub channel and yield its messages.

        First yields an empty text, once the subscription is active. Ends when the server ends the
        response, and raises `NoReply` when the connection breaks or has been silent for
        `SUBSCRIPTION_MAX_S` seconds. Nothing is retried.
        """
        headers = {**self._redis._headers, "Accept": "text/event-stream"}
        self._meter.add(["SUBSCRIBE"])
        timeout = httpx.Timeout(SUBSCRIPTION_MAX_S, connect=CONNECT_TIMEOUT_S)
        async with AsyncExitStack() as stack:
            try:
                client = await stack.enter_async_context(httpx.AsyncClient(timeout=timeout))
                response = await stack.enter_async_context(
                    client.stream("POST", f"{self._url}/subscribe/{channel}", headers=headers)
                )
                if response.status_code != httpx.codes.OK:
                    raise BadGateway(f"status {response.status_code} to SUBSCRIBE")
                async for line in response.aiter_lines():
                    kind, _, rest = line.removeprefix("data:").strip().partition(",")
                    if kind == "subscribe":
                        yield ""
                    elif kind == "message":
                        yield rest.partition(",")[2]
            except httpx.HTTPError as error:
                raise NoReply(type(error).__name__) from error

    async def close(self) -> None:
        """Close the idle connections, if they belong to the running event loop."""
        await self._transport.close()

    async def _single(self, command: Command) -> Any:
        self._meter.add([str(command[0])])
        return await self._redis.execute(list(command))

    async def _many(self, path: str, commands: Sequence[Command]) -> list[Any]:
        self._meter.add(str(command[0]) for command in commands)
        results: list[Any] = await self._transport.execute(
            f"{self._url}/{path}", self._headers(), [list(c) for c in commands], from_pipeline=True
        )
        return results

    def _headers(self) -> Mapping[str, str]:
        headers: dict[str, str] = self._redis._headers
        self._redis._maybe_set_sync_token_header(headers)
        return headers

    async def _patiently(self, call: Callable[[], Awaitable[T]], *, repeatable: bool) -> T:
        """Return what `call` does; repeat it while that is harmless, for `timeout_s` in all."""
        pauses = growing_pauses(*RETRY_S, self._rng)
        try:
            async with asyncio.timeout(self._timeout_s):
                for _ in range(1, ATTEMPTS):
                    try:
                        return await call()
                    except RedisError as error:
                        harmless = repeatable or error.executed is False
                        if not (error.transient and harmless):
                            raise
                    await asyncio.sleep(next(pauses))
                return await call()
        except TimeoutError as error:
            raise NoReply("out of time") from error
