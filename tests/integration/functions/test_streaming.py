"""The runtime loop: what an application sends is posted as it is sent."""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise
from typing import Any

from tests.integration.functions.serving import begin, say, serving
from tests.support.gateway_events import function_url

TICK_S = 0.2
TICKS = 5
DELIMITER = b"\0" * 8
EVENT = function_url("/", [], {})


async def ticking(scope: Any, receive: Any, send: Any) -> None:
    await begin(send)
    for number in range(TICKS):
        await say(send, str(number))
        await asyncio.sleep(TICK_S)
    await say(send, "", more=False)


async def test_chunks_arrive_as_they_are_made() -> None:
    """One after the other, not all at the end."""
    async with serving(ticking) as api:
        answer = await (await api.invoke(EVENT)).ended()

    prelude, delimiter, *chunks = answer.chunks
    arrived = answer.arrived[2:]
    gaps = [later - earlier for earlier, later in pairwise(arrived)]
    assert (prelude[:1], delimiter) == (b"{", DELIMITER)
    assert chunks == [b"0", b"1", b"2", b"3", b"4"]
    assert abs(statistics.median(gaps) - TICK_S) < 0.05
    assert all(0.5 * TICK_S < gap < 1.5 * TICK_S for gap in gaps)
