"""The promise of the whole project, on the real store, under any schedule."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator

import pytest

from api.events.stream.deadline import window
from api.services import Services
from tests.support.instances import Instance, settings_for
from tests.support.schedules import INSTANCES, STEPS, check_schedules
from tests.support.upstash_server import UpstashServer

SCHEDULES = 60
SOAK_SCHEDULES = int(os.environ.get("MILLRACE_SOAK_SCHEDULES", "10000"))


class Instances:
    """Instances that outlive the schedules, and the store behind them."""

    def __init__(self, server: UpstashServer) -> None:
        self.server = server
        self.numbers = itertools.count()
        self.runner = asyncio.Runner()
        self.streaming: list[Instance] = []
        self.buffered: Instance
        self.runner.run(self._start())

    async def _start(self) -> None:
        for number in range(INSTANCES):
            self.streaming.append(await self._instance(number))
        options = settings_for(self.server)
        self.buffered = await Instance(options, window(0.05)).start()

    async def _instance(self, number: int) -> Instance:
        # The smallest backlog, so that stalled readers really overflow; one has a doorbell,
        # and one is slow, so that a client may have seen more than it.
        pace = {"poll_min_ms": 120, "poll_idle_ms": 120} if number == 1 else {}
        options = settings_for(self.server, lag_max_bytes=65_536, doorbell=number == 0, **pace)
        return await Instance(options).start()

    @property
    def services(self) -> Services:
        return self.buffered.services

    async def restart(self, number: int) -> None:
        await self.streaming[number].stop()
        self.streaming[number] = await self._instance(number)

    def close(self) -> None:
        async def stop() -> None:
            for one in [*self.streaming, self.buffered]:
                await one.stop()

        self.runner.run(stop())
        self.runner.close()


@pytest.fixture(scope="module")
def cluster(upstash_server: UpstashServer) -> Iterator[Instances]:
    upstash_server.reset()
    cluster = Instances(upstash_server)
    yield cluster
    cluster.close()


def test_any_schedule_delivers_each_event_once_and_in_order_or_says_reset(
    cluster: Instances,
) -> None:
    check_schedules(cluster, SCHEDULES, list(STEPS.values()))


@pytest.mark.soak
def test_a_long_run_of_schedules_keeps_the_promise(cluster: Instances) -> None:
    check_schedules(cluster, SOAK_SCHEDULES, list(STEPS.values()))
