"""Copies of one started process share neither connections nor chance."""

import asyncio
import random

from api.services import Services
from functions.runtime import snapshot


def survive_snapshots(services: Services) -> None:
    """Register what makes `services` safe to be restored many times."""

    async def close() -> None:
        for client in services.clients:
            await client.close()

    @snapshot.before_snapshot
    def leave_connections() -> None:
        asyncio.get_event_loop().run_until_complete(close())

    @snapshot.after_restore
    def draw_anew() -> None:
        # Else all copies would pause, jitter and retry in step.
        random.seed()
        services.streaming.rng.seed()
