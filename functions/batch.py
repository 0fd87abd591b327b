"""What a Lambda function does with a batch of messages of SQS."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import structlog

from api.jobs import (
    Delivery,
    DeliveryEnd,
    JobWorkers,
    Outcome,
    QueueError,
    WorkTime,
    finish_delivery,
)
from functions.sqs import delivery_of

# For handlers to clean up and for the last writes, but a fifth of a short invocation at most.
MARGIN_S, MARGIN_SHARE = 8.0, 0.2

log = structlog.get_logger()


class LambdaContext(Protocol):
    """What is used of the context that Lambda hands over with each event."""

    def get_remaining_time_in_millis(self) -> int: ...


class BatchHandler:
    """Works on the jobs of a batch, up to `slots` at once; its call is the Lambda handler.

    The answer names the messages that SQS must deliver again (`batchItemFailures`). An event
    without records is that of the schedule: it runs the `sweep`, and answers how many were sent.

    All invocations of a process run on one event loop, with the connections of the ones before.
    """

    def __init__(self, workers: JobWorkers, *, slots: int) -> None:
        assert workers.sweep is not None, "batches come from a queue outside of Redis"
        self._loop = asyncio.new_event_loop()
        asyncio.set_event_loop(self._loop)
        self._runner = workers.runner
        self._queue = workers.queue
        self._sweep = workers.sweep
        self._slots = slots

    def __call__(self, event: Mapping[str, Any], context: LambdaContext) -> Mapping[str, Any]:
        if "Records" not in event:
            # What it raises is a failed invocation, which the metrics of the function show.
            return {"sent": self._loop.run_until_complete(self._sweep.run())}
        left_s = context.get_remaining_time_in_millis() / 1000
        whole_s = left_s - min(MARGIN_S, MARGIN_SHARE * left_s)
        work_time = WorkTime(ends_at=time.monotonic() + whole_s, whole_s=whole_s)
        kept = self._loop.run_until_complete(self._batch(event["Records"], work_time))
        return {"batchItemFailures": [{"itemIdentifier": one} for one in kept]}

    async def _batch(self, records: Sequence[Mapping[str, Any]], work_time: WorkTime) -> list[str]:
        """The ids of the messages that SQS must keep."""
        slots = asyncio.Semaphore(self._slots)

        async def is_kept(record: Mapping[str, Any]) -> bool:
            async with slots:
                return await self._is_kept(record, work_time)

        kept = await asyncio.gather(*map(is_kept, records))
        return [one["messageId"] for one, is_one in zip(records, kept, strict=True) if is_one]

    async def _is_kept(self, record: Mapping[str, Any], work_time: WorkTime) -> bool:
        message_id = record.get("messageId")
        try:
            delivery = delivery_of(record["body"], record["receiptHandle"], record["attributes"])
            if delivery is None:
                return True
            return await self._finished(delivery, await self._runner.run(delivery, work_time))
        except QueueError as error:
            log.warning("job.not_settled", message_id=message_id, error=type(error).__name__)
        except Exception:
            # An exception would have SQS deliver all records of the batch again.
            log.exception("job.not_settled", message_id=message_id)
        return True

    async def _finished(self, delivery: Delivery, outcome: Outcome) -> bool:
        """Finish the delivery; True if SQS must keep the message.

        The message of a job that is done needs no call: SQS deletes what is not named as failed.
        """
        if outcome.end is not DeliveryEnd.DONE:
            await finish_delivery(self._queue, delivery, outcome)
        return outcome.end in (DeliveryEnd.DEAD, DeliveryEnd.LOST)
