"""What Lambda does between SQS and a function: it receives batches, invokes, and deletes."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import IO, Any

from botocore.session import get_session

from tests.support.local_server import ROOT

TIMEOUT_S = 30.0


class Queues:
    """A queue and its queue of dead letters."""

    def __init__(self, *, visibility_s: int, receives: int) -> None:
        self.sqs = get_session().create_client("sqs")
        self._visibility_s = visibility_s
        self._receives = receives
        self._make()

    def renew(self) -> None:
        """Empty both queues by making them anew. Purging is allowed only once a minute."""
        for url in (self.url, self.dead_url):
            self.sqs.delete_queue(QueueUrl=url)
        self._make()

    def _make(self) -> None:
        self.dead_url = self.sqs.create_queue(QueueName="dead")["QueueUrl"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.dead_url, AttributeNames=["QueueArn"])
        redrive = {
            "deadLetterTargetArn": answer["Attributes"]["QueueArn"],
            "maxReceiveCount": self._receives,
        }
        attributes = {
            "VisibilityTimeout": str(self._visibility_s),
            "RedrivePolicy": json.dumps(redrive),
        }
        made = self.sqs.create_queue(QueueName="jobs", Attributes=attributes)
        self.url = made["QueueUrl"]

    def send(self, body: str) -> None:
        self.sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def receive(self, limit: int = 10) -> list[dict[str, Any]]:
        """Receive messages in the form in which a function gets them."""
        answer = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=limit, AttributeNames=["All"]
        )
        return [
            {
                "messageId": one["MessageId"],
                "receiptHandle": one["ReceiptHandle"],
                "body": one["Body"],
                "attributes": one["Attributes"],
                "eventSource": "aws:sqs",
            }
            for one in answer.get("Messages", [])
        ]

    def delete(self, record: dict[str, Any]) -> None:
        self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])

    def dead(self) -> list[str]:
        answer = self.sqs.receive_message(
            QueueUrl=self.dead_url, MaxNumberOfMessages=10, VisibilityTimeout=0
        )
        return [one["Body"] for one in answer.get("Messages", [])]

    def count(self) -> int:
        """How many messages the queue has, with the hidden and delayed ones."""
        # The counts are approximate: one look may miss a message that goes from one to another.
        return max(self._count() for _ in range(3))

    def _count(self) -> int:
        names = [
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
            "ApproximateNumberOfMessagesDelayed",
        ]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(answer["Attributes"][name]) for name in names)


class Function:
    """An execution environment. After its death the next invocation starts another."""

    def __init__(self, environ: dict[str, str]) -> None:
        self._environ = environ
        self._process: subprocess.Popen[str] | None = None
        self._stderr: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed in `close`
        self.modules: list[str] = []
        self.starts = 0

    def invoke(
        self, records: list[dict[str, Any]], *, timeout_s: float = TIMEOUT_S
    ) -> dict[str, Any] | None:
        """Invoke it. Returns the answer; None if the process has died."""
        process = self._alive()
        assert process.stdin is not None
        assert process.stdout is not None
        invocation = {"event": {"Records": records}, "timeout_s": timeout_s}
        process.stdin.write(json.dumps(invocation) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            self._end()
            return None
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._end()
        self._stderr.close()

    @property
    def complaints(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read().decode(errors="replace")

    def _alive(self) -> subprocess.Popen[str]:
        if self._process is None:
            self.starts += 1
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.invoke_handler", "functions.worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._stderr,
                text=True,
                cwd=ROOT,
                env=self._environ,
            )
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
            assert line, self.complaints
            self.modules = json.loads(line)["modules"]
        return self._process

    def _end(self) -> None:
        assert self._process is not None
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None


class EventSource:
    """Invokes a function with batches, and deletes what it does not report as failed."""

    def __init__(self, queues: Queues, function: Function) -> None:
        self._queues = queues
        self.function = function

    def poll(self, *, timeout_s: float = TIMEOUT_S) -> list[dict[str, Any]]:
        """Receive one batch and invoke. Returns the records that were kept."""
        records = self._queues.receive()
        if not records:
            return []
        answer = self.function.invoke(records, timeout_s=timeout_s)
        if answer is None:  # as on Lambda: the whole batch has failed
            return records
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        for record in records:
            if record["messageId"] not in failed:
                self._queues.delete(record)
        return [record for record in records if record["messageId"] in failed]

    def poll_until(self, holds: Callable[[], bool], *, within_s: float = 20.0) -> None:
        until = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < until, self.function.complaints
            if not self.poll():
                time.sleep(0.1)
