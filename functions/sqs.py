"""The queue of jobs where SQS is the queue. What `api` knows of it is the protocol.

A message is `{"job": id}`. One that is to come again later is sent anew, so that SQS counts
only deliveries without an end: after some of those it moves the message to its dead letters.
"""

import asyncio
import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import structlog

from api.jobs import Delivery, JobId, QueueError, find_job_id, take_or_give_back
from api.settings import Settings

CONNECT_TIMEOUT_S, READ_TIMEOUT_S, TRIES = 2.0, 10.0, 2
CALL_TIMEOUT_S = 25.0
LONGEST_WAIT_S = 5  # below the time-out of a read
MOST_AT_ONCE = 10
LONGEST_DELAY_S = 900
RECEIVES = "ApproximateReceiveCount"
# The worker's lease shall be over when somebody else gets a dead worker's message.
OUTLIVES_LEASE = 1.25

log = structlog.get_logger()


class Message(msgspec.Struct):
    """The body of a message."""

    job: str


class SqsQueue:
    """The queue at `url`, as `JobQueue` says. Raises `QueueError` when SQS does not do its part.

    A message that a worker has received stays hidden from others for somewhat longer than its
    lease of `lease_s`.
    """

    def __init__(self, url: str, *, lease_s: float) -> None:
        self._url = url
        self._visible_after_s = _seconds(lease_s * OUTLIVES_LEASE)

    async def enqueue(self, job_id: JobId, *, delay_s: float = 0) -> None:
        # SQS cannot wait longer: then the job is begun somewhat early.
        delay = min(LONGEST_DELAY_S, _seconds(delay_s))
        body = msgspec.json.encode(Message(job_id)).decode()
        await self._call("send_message", MessageBody=body, DelaySeconds=delay)

    async def claim(self, limit: int, *, wait_s: float) -> Sequence[Delivery]:
        receive = self._call(
            "receive_message",
            MaxNumberOfMessages=min(MOST_AT_ONCE, limit),
            WaitTimeSeconds=min(LONGEST_WAIT_S, _seconds(wait_s)),
            VisibilityTimeout=self._visible_after_s,
            AttributeNames=[RECEIVES],
        )
        answer = await take_or_give_back(receive, self._give_back)
        found = (
            delivery_of(one["Body"], one["ReceiptHandle"], one["Attributes"])
            for one in answer.get("Messages", [])
        )
        return [delivery for delivery in found if delivery is not None]

    async def heartbeat(self, delivery: Delivery, *, lease_s: float) -> None:
        await self._hide(delivery.receipt, _seconds(lease_s * OUTLIVES_LEASE))

    async def release(self, delivery: Delivery, *, delay_s: float) -> None:
        await self.enqueue(delivery.job_id, delay_s=delay_s)
        await self.done(delivery)

    async def done(self, delivery: Delivery) -> None:
        await self._call("delete_message", ReceiptHandle=delivery.receipt)

    async def to_dead_letters(self, delivery: Delivery) -> None:
        """Have it delivered again at once, until SQS moves it to its dead letters."""
        await self._hide(delivery.receipt, 0)

    async def _hide(self, receipt: str, for_s: int) -> None:
        await self._call(
            "change_message_visibility", ReceiptHandle=receipt, VisibilityTimeout=for_s
        )

    async def _give_back(self, answer: Mapping[str, Any]) -> None:
        for message in answer.get("Messages", []):
            await self._hide(message["ReceiptHandle"], 0)

    async def _call(self, name: str, **arguments: Any) -> Mapping[str, Any]:
        """One call to SQS, in a thread: botocore knows no event loop."""

        def call() -> Any:
            from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

            try:
                return getattr(self._client, name)(QueueUrl=self._url, **arguments)
            except (BotoCoreError, ClientError) as error:
                raise QueueError(type(error).__name__) from error

        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                answer: Mapping[str, Any] = await asyncio.to_thread(call)
        except TimeoutError as error:
            raise QueueError("out of time") from error
        return answer

    @cached_property
    def _client(self) -> Any:
        # It takes long to load, which only those who use the queue should pay.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.session import get_session  # noqa: PLC0415

        return get_session().create_client(
            "sqs",
            config=Config(
                connect_timeout=CONNECT_TIMEOUT_S,
                read_timeout=READ_TIMEOUT_S,
                retries={"total_max_attempts": TRIES, "mode": "standard"},
            ),
        )


def queue_of(settings: Settings) -> SqsQueue | None:
    """The queue that the settings name; None where Redis is the queue."""
    if settings.jobs_queue_url is None:
        return None
    return SqsQueue(settings.jobs_queue_url, lease_s=settings.job_lease_s)


def delivery_of(body: str, receipt: str, attributes: Mapping[str, str]) -> Delivery | None:
    """A message of SQS as a delivery; None, and a warning in the logs, for one that is not ours."""
    try:
        job_id = find_job_id(msgspec.json.decode(body, type=Message).job)
    except msgspec.DecodeError:
        job_id = None
    if job_id is None:
        log.warning("queue.foreign_entry")
        return None
    return Delivery(job_id, receipt, int(attributes.get(RECEIVES, 1)))


def _seconds(delay_s: float) -> int:
    return math.ceil(max(0.0, delay_s))
