"""`python -m functions.runtime package.module.app`: runs an ASGI application on Lambda.

Lambda sets AWS_LAMBDA_RUNTIME_API, AWS_LAMBDA_MAX_CONCURRENCY and AWS_LAMBDA_INITIALIZATION_TYPE.
"""

import asyncio
import os
import sys
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from functions.runtime import snapshot
from functions.runtime.api import RuntimeApi
from functions.runtime.exchange import App
from functions.runtime.failure import Failure
from functions.runtime.lifespan import start_once
from functions.runtime.loop import serve

NOT_STARTED, NOT_SNAPSHOT, NOT_RESTORED = 1, 64, 65


def main(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> int:
    """Answer invocations as long as the process lives. Returns an exit status after a failure."""
    [handler] = arguments
    api = RuntimeApi(environ["AWS_LAMBDA_RUNTIME_API"])
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    state: dict[str, Any] = {}
    try:
        app = _load(handler)
        lifespan = start_once(app, loop, state)
    except BaseException as error:  # noqa: BLE001  # Lambda must be told of any error
        _tell(error)
        loop.run_until_complete(api.fail_to_start(Failure.of(error, category="Runtime")))
        return NOT_STARTED
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        status = _through_snapshot(api, loop)
        if status:
            return status
    at_once = int(environ.get("AWS_LAMBDA_MAX_CONCURRENCY") or 1)
    try:
        loop.run_until_complete(serve(app, api, at_once=at_once, state=state))
    finally:
        lifespan.cancel()
    return 0


def _tell(error: BaseException) -> None:
    """Write to the log: the application's own advice if it has one, else the traceback."""
    complaints: Sequence[str] = getattr(error, "complaints", ())
    if complaints:
        sys.stderr.write("\n".join([*complaints, ""]))
    else:
        traceback.print_exception(error)


def _load(handler: str) -> App:
    module, _, name = handler.replace("/", ".").rpartition(".")
    app: App = getattr(import_module(module), name)
    return app


def _through_snapshot(api: RuntimeApi, loop: asyncio.AbstractEventLoop) -> int:
    """Let Lambda take a snapshot, and continue as a copy. Returns 0, or an exit status."""
    try:
        snapshot.run_before_snapshot()
        loop.run_until_complete(api.until_restored())
    except BaseException as error:  # noqa: BLE001  # any hook may raise anything
        traceback.print_exc()
        failure = Failure.of(error, category="Runtime", reason="BeforeSnapshotError")
        loop.run_until_complete(api.fail_to_start(failure))
        return NOT_SNAPSHOT
    try:
        snapshot.run_after_restore()
    except BaseException as error:  # noqa: BLE001  # as above
        traceback.print_exc()
        failure = Failure.of(error, category="Runtime", reason="AfterRestoreError")
        loop.run_until_complete(api.fail_to_restore(failure))
        return NOT_RESTORED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
