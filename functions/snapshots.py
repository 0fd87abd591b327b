"""Lambda SnapStart: the copies of one started process must not share connections or randomness."""

import asyncio
import random

from api.services import Services
from functions.runtime import snapshot


def survive_snapshots(services: Services) -> None:
    """Register what has to happen to `services` before a snapshot and after each restore."""

    async def close() -> None:
        for client in services.clients:
            await client.close()

    @snapshot.before_snapshot
    def leave_connections() -> None:
        asyncio.get_event_loop().run_until_complete(close())

    @snapshot.after_restore
    def draw_anew() -> None:
        # With the same seed all copies would pause and retry at the same moments.
        random.seed()
        services.streaming.rng.seed()
