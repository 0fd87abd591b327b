"""Where jobs are done: the handler of a Lambda function, or a process of its own.

Neither loads Litestar: a worker serves no requests, and starts faster without it.
"""

import asyncio
import json
import signal
import sys

from api.services import Services, build_services
from api.settings import SettingsError
from functions.batch import BatchHandler
from functions.memory import freeze_heap
from functions.settings import read_settings
from functions.snapshots import survive_snapshots
from functions.sqs import queue_of


def batch_handler() -> BatchHandler:
    """The handler of this process. Raises `SettingsError`: no batches come without a queue."""
    settings = read_settings()
    queue = queue_of(settings)
    if queue is None:
        raise SettingsError(["MILLRACE_JOBS_QUEUE_URL: must name the queue whose batches come"])
    services = build_services(settings, queue=queue)
    handler = BatchHandler(services.jobs.workers(), slots=max(1, settings.job_workers))
    survive_snapshots(services)
    return handler


async def work(services: Services) -> None:
    """Do jobs until SIGTERM or SIGINT; then hand back what is under way."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(signal_number, stopped.set)
    settings = services.settings
    worker = services.jobs.workers().worker
    freeze_heap()
    async with services.running():
        worker.start()
        print(json.dumps({"job_workers": settings.job_workers}), flush=True)
        await stopped.wait()
        await worker.drain(timeout_s=settings.drain_s)


def main() -> int:
    """Run the process; the exit status is 2 for settings that it cannot work with."""
    try:
        settings = read_settings()
        services = build_services(settings, queue=queue_of(settings))
    except SettingsError as error:
        print("\n".join(error.complaints), file=sys.stderr)
        return 2
    if not settings.job_workers:
        print("MILLRACE_JOB_WORKERS: a worker needs at least one", file=sys.stderr)
        return 2
    asyncio.run(work(services))
    return 0


if __name__ == "__main__":
    sys.exit(main())
handler = batch_handler()
freeze_heap()
