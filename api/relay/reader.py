"""Reads one upstream while this process holds its lease, and stores its events for all."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog

from api.events import EVENT_TYPE, RESERVED_TYPES, Publisher
from api.relay.decoder import Decoder, TooLongError, UpstreamEvent, fits_header
from api.relay.store import RECENT_IDS, NewEntry, NotHeldError, SourceStore
from api.relay.upstream import Upstream, UpstreamError, UpstreamFault
from api.upstash import RedisError

INIT: Final = "relay.init"
ERROR: Final = "relay.error"
EVENT: Final = "relay.event"
OURS: Final = "relay."
TOO_LARGE: Final = "upstream-event-too-large"
RETRY_MS = (1000, 60_000)  # shortest and longest pause before a reconnect, before jitter
STORE_RETRY_S = 0.5
RELEASE_TIMEOUT_S = 2.0

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Tools:
    """What all source readers of a process share.

    `lease_s` is the length of a lease in seconds, and so the maximum time that a source is not read
    after its holder died. `clock` gives seconds since 1970.
    """

    publisher: Publisher
    lease_s: float
    clock: Callable[[], float]
    rng: random.Random


class SourceReader:
    """Reads one source in this process, whenever this process can get the lease on it.

    Without the lease it asks for it again and again. With `unique_ids` an event whose upstream id
    was stored lately is a repeat, and is left out.
    """

    def __init__(
        self, name: str, upstream: Upstream, store: SourceStore, tools: Tools, *, unique_ids: bool
    ) -> None:
        self._name = name
        self._upstream = upstream
        self._store = store
        self._tools = tools
        self._unique_ids = unique_ids
        self._seen: dict[str, None] = {}
        self._last_id = ""
        self._is_greeted = False
        self._retry_ms = RETRY_MS[0]
        self._failures = 0

    async def run(self) -> None:
        """Read until cancelled, then release the lease. After a failure it tries again."""
        try:
            while True:
                await self._try_turn()
                await self._sleep(self._tools.lease_s / 6)
        finally:
            # Shielded: without the release, the next holder would wait for the lease to end.
            await asyncio.shield(self._release())

    async def _try_turn(self) -> None:
        try:
            await self._take_turn()
        except NotHeldError:
            log.info("relay.taken_over", source=self._name)
        except RedisError as error:
            log.warning("relay.waits_for_store", source=self._name, error=type(error).__name__)
        except Exception:
            log.exception("relay.broken", source=self._name)

    async def _take_turn(self) -> None:
        """Take the lease if it is free, and read the upstream while this process holds it."""
        last_id = await self._hold()
        if last_id is None:
            return
        # Older releases stored ids that no request can carry, and with one no reconnect succeeds.
        self._last_id = last_id if fits_header(last_id) else ""
        self._is_greeted = False
        self._seen = dict.fromkeys(await self._store.recent_ids()) if self._unique_ids else {}
        reading = asyncio.create_task(self._read_on())
        try:
            is_ours = True
            while is_ours and not reading.done():
                await asyncio.wait([reading], timeout=self._tools.lease_s / 3)
                is_ours = reading.done() or await self._is_still_ours()
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if not reading.cancelled():
            reading.result()

    async def _hold(self) -> str | None:
        return await self._store.hold(self._tools.clock(), self._tools.lease_s)

    async def _is_still_ours(self) -> bool:
        try:
            return await self._hold() is not None
        except RedisError:
            return True  # if it is not, the next append raises `NotHeldError`

    async def _read_on(self) -> None:
        """Connect to the upstream again and again. Raises `NotHeldError`."""
        while True:
            fault = await self._read_once()
            self._failures += 1
            shortest, longest = RETRY_MS
            pause_ms = min(longest, max(shortest, self._retry_ms) * 2 ** min(self._failures - 1, 8))
            if fault is not None:
                await self._fail(fault, pause_ms)
            await self._sleep(pause_ms / 1000)

    async def _read_once(self) -> UpstreamFault | None:
        """Read one connection to its end. Returns why it broke, None if it ended properly."""
        decoder = Decoder(self._tools.publisher.max_event_bytes, self._last_id)
        try:
            async with aclosing(self._upstream.chunks(self._last_id)) as chunks:
                async for chunk in chunks:
                    await self._take(decoder, chunk)
        except UpstreamError as error:
            return error.fault
        except TooLongError:
            return UpstreamFault.TOO_LONG
        finally:
            self._last_id = decoder.last_id
            self._retry_ms = decoder.retry_ms or self._retry_ms
        return UpstreamFault.CUT if decoder.is_mid_event else None

    async def _take(self, decoder: Decoder, chunk: bytes) -> None:
        if not chunk:
            await self._greet()
            return
        entries = list(self._entries(decoder.feed(chunk)))
        if entries:
            self._failures = 0
            await self._append(entries, last_id=decoder.last_id)

    def _entries(self, events: Iterable[UpstreamEvent]) -> Iterator[NewEntry]:
        for event in events:
            if self._unique_ids and event.own_id:
                if event.own_id in self._seen:
                    continue
                self._note(event.own_id)
            yield NewEntry(self._text(event), event.own_id)

    def _note(self, upstream_id: str) -> None:
        self._seen[upstream_id] = None
        if len(self._seen) > RECENT_IDS:
            del self._seen[next(iter(self._seen))]

    def _text(self, event: UpstreamEvent) -> str:
        too_large = _encoded(ERROR, {"source": self._name, "code": TOO_LARGE})
        if event.data is None:
            return too_large
        is_plain = EVENT_TYPE.fullmatch(event.type) and event.type not in RESERVED_TYPES
        if is_plain and not event.type.startswith(OURS):
            text = _encoded(event.type, event.data)
        else:
            text = _encoded(EVENT, {"event": event.type, "data": event.data})
        is_small = len(text.encode()) <= self._tools.publisher.max_event_bytes
        return text if is_small else too_large

    async def _greet(self) -> None:
        """Tell readers once that the upstream is read, and again only after a fault."""
        if not self._is_greeted:
            self._is_greeted = True
            log.info("relay.connected", source=self._name)
            await self._say(INIT, {"resumes": bool(self._last_id)})

    async def _fail(self, fault: UpstreamFault, pause_ms: int) -> None:
        """Tell readers of each fault of the upstream, because readers come and go in between."""
        self._is_greeted = False
        log.warning("relay.failed", source=self._name, code=fault.value)
        await self._say(ERROR, {"code": fault.value, "retry_ms": pause_ms})

    async def _say(self, kind: str, data: dict[str, Any]) -> None:
        entry = NewEntry(_encoded(kind, {"source": self._name, **data}))
        await self._append([entry], last_id=self._last_id)

    async def _append(self, entries: Sequence[NewEntry], *, last_id: str) -> None:
        """Store the entries, and try again while Redis fails; meanwhile no more is read."""
        batch = self._store.next_batch()
        while True:
            try:
                await self._store.append(entries, batch=batch, last_id=last_id)
                break
            except RedisError as error:
                log.warning("relay.waits_for_store", error=type(error).__name__)
            await self._sleep(STORE_RETRY_S)
        await self._tools.publisher.stored([self._store.topic] * len(entries))

    async def _sleep(self, pause_s: float) -> None:
        await asyncio.sleep(pause_s * self._tools.rng.uniform(1.0, 1.3))

    async def _release(self) -> None:
        with suppress(RedisError, TimeoutError):
            async with asyncio.timeout(RELEASE_TIMEOUT_S):
                await self._store.release()


def _encoded(kind: str, data: Any) -> str:
    return msgspec.json.encode({"type": kind, "data": data}).decode()
