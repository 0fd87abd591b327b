"""`python -m infra.local.stack`: runs the whole back end on this machine, without an account.

Each server is a process of its own. They start one after the other, as each needs those before
it. They end together: on SIGINT or SIGTERM, when one of them ends, or when this process is killed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import time
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from infra.local.child import Child, NotAnnounced
from infra.local.health import NotHealthy, healthy
from infra.local.service import ADDRESSES, DEFAULTS, OF_ONE_PROCESS, SERVICES, CannotStart, Service
from infra.local.state import AlreadyRunning, State, StateFolder, made_secrets
from infra.local.welcome import welcome

_START_WITHIN_S = 20.0
_PARENT_PAUSE_S = 0.5

OURS = ("MILLRACE_", "UPSTASH_REDIS_REST_", "ABLY_")

T = TypeVar("T")


class Stopped(Exception):
    """The stack was asked to end."""


class Stack:
    """The servers of one run, in the order of their start, and the settings for the next ones."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values = dict(values)
        self._children: list[tuple[Service, Child]] = []
        self._stop = asyncio.Event()

    def stop(self) -> None:
        """End in order. When it is called again, end at once."""
        if self._stop.is_set():
            for _, child in self._children:
                child.kill()
        self._stop.set()

    async def up(self) -> None:
        """Start all servers and return when they are ready. Raises CannotStart or Stopped."""
        wanted = [one for one in SERVICES if not self.values.get(one.replaced_by or "")]
        # All ports are looked at first, so that nothing has been started when one is taken.
        ports = {service.name: service.port(self.values) for service in wanted}
        # The servers are told of each other's ports, also of those that start later.
        self.values |= {one.port_variable: str(ports[one.name]) for one in wanted}
        for service in wanted:
            program = service.program(self.values, ports[service.name])
            child = await Child.start(service.name, program, self.values)
            self._children.append((service, child))
            self.values |= await self._while_all_live(_offers(service, child))

    async def hold(self) -> None:
        """Wait. Raises Stopped when asked to end, and CannotStart when a server has ended."""
        await self._while_all_live(self._stop.wait())

    async def down(self) -> None:
        """End the servers, the newest first: the API needs its store while it drains."""
        for service, child in reversed(self._children):
            await child.stop(within_s=service.stop_within_s)

    async def _while_all_live(self, work: Coroutine[Any, Any, T]) -> T:
        task = asyncio.create_task(work)
        stop = asyncio.create_task(self._stop.wait())
        ended = [child.ended for _, child in self._children]
        try:
            await asyncio.wait({task, stop, *ended}, return_when=asyncio.FIRST_COMPLETED)
            if stop.done():
                raise Stopped
            for _, child in self._children:
                if child.ended.done():
                    raise CannotStart(f"{child.name} has ended, {_status(child.ended.result())}")
            return task.result()
        finally:
            task.cancel()
            stop.cancel()


def main() -> int:
    """Returns the exit status: 0 after a signal, 1 when it could not start or a server ended."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.stack", description=__doc__)
    parser.add_argument(
        "--until-parent-ends", action="store_true", help="stop when the starting process is gone"
    )
    parent = os.getppid() if parser.parse_args().until_parent_ends else None
    folder = StateFolder.of(os.environ)
    try:
        with folder.held():
            return asyncio.run(_run(folder, parent))
    except AlreadyRunning:
        url = folder.read().settings.get("MILLRACE_URL", "")
        print(f"stack: one runs already {url}; stop it first", file=sys.stderr)
        return 1


async def _run(folder: StateFolder, parent: int | None) -> int:
    began = time.monotonic()
    before = folder.read()
    secrets = {name: before.secrets.get(name, made) for name, made in made_secrets().items()}
    folder.write(State(secrets, before.settings))
    stack = Stack(_values(os.environ, before, secrets))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stack.stop)
    watching = asyncio.create_task(_stop_without(parent, stack))
    try:
        await stack.up()
        folder.write(State(secrets, _shared(stack.values), os.getpid()))
        print(welcome(stack.values, time.monotonic() - began), flush=True)
        await stack.hold()
    except Stopped:
        pass
    except CannotStart as error:
        print(f"stack: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        watching.cancel()
        folder.write(State(secrets, folder.read().settings))
        await stack.down()
    return 0


def _values(
    environ: Mapping[str, str], before: State, secrets: Mapping[str, str]
) -> dict[str, str]:
    """The environment of the servers. Values that the caller has set come first."""
    # A blank setting counts as none, so that it does not replace a default or a secret of ours.
    given = {
        name: value.strip() if name.startswith(OURS) else value
        for name, value in environ.items()
        if value.strip() or not name.startswith(OURS)
    }
    for name in ADDRESSES:
        # A shell may have it from `make env` of our last run: that server exists no more.
        if name in given and given[name] == before.settings.get(name):
            del given[name]
    return {**DEFAULTS, **secrets, **given, **_without_proxy(given)}


def _without_proxy(environ: Mapping[str, str]) -> dict[str, str]:
    # The servers reach each other over loopback, which no proxy can.
    given = environ.get("no_proxy") or environ.get("NO_PROXY")
    if given == "*":  # for all hosts; with others beside it, some clients take it for a name
        return {}
    hosts = ",".join(filter(None, [given, "127.0.0.1", "localhost", "::1"]))
    return {"NO_PROXY": hosts, "no_proxy": hosts}


def _shared(values: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in values.items()
        if name.startswith(OURS) and name not in OF_ONE_PROCESS
    }


async def _offers(service: Service, child: Child) -> dict[str, str]:
    try:
        async with asyncio.timeout(_START_WITHIN_S):
            announced = await child.announced()
    except NotAnnounced:
        raise CannotStart(f"{service.name} has ended, {_status(await child.ended)}") from None
    except TimeoutError:
        raise CannotStart(f"{service.name} did not start in {_START_WITHIN_S:g} s") from None
    if service.health_path is not None:
        try:
            await healthy(announced["url"] + service.health_path, within_s=_START_WITHIN_S)
        except NotHealthy as error:
            raise CannotStart(str(error)) from None
    return service.offers(announced)


def _status(code: int) -> str:
    return f"status {code}" if code >= 0 else f"by {signal.Signals(-code).name}"


async def _stop_without(parent: int | None, stack: Stack) -> None:
    if parent is not None:
        while os.getppid() == parent:  # noqa: ASYNC110 - nothing portable tells of its end
            await asyncio.sleep(_PARENT_PAUSE_S)
        stack.stop()


if __name__ == "__main__":
    sys.exit(main())
