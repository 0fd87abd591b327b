"""One invocation from the Runtime API, which is the Lambda context for the application."""

import os
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Self

from functions.runtime.connection import Answer

TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""The trace id of X-Ray. The environment has none when several invocations share a process."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """An invocation with the names of Lambda's own context; `aws.context` in ASGI scopes."""

    aws_request_id: str
    event: bytes
    deadline_ms: int
    invoked_function_arn: str = ""
    trace_id: str | None = None
    tenant_id: str | None = None
    invocation_id: str | None = None
    client_context: None = None
    identity: None = None
    clock: Callable[[], float] = time.time

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Read the answer of `/invocation/next`."""
        headers = answer.headers
        return cls(
            aws_request_id=headers["lambda-runtime-aws-request-id"],
            event=answer.body,
            deadline_ms=int(headers["lambda-runtime-deadline-ms"]),
            invoked_function_arn=headers.get("lambda-runtime-invoked-function-arn", ""),
            trace_id=headers.get("lambda-runtime-trace-id"),
            tenant_id=headers.get("lambda-runtime-aws-tenant-id"),
            invocation_id=headers.get("lambda-runtime-invocation-id"),
        )

    @property
    def left_s(self) -> float:
        """Seconds until Lambda ends the process; negative when that time is over."""
        return self.deadline_ms / 1000 - self.clock()

    def get_remaining_time_in_millis(self) -> int:
        return max(0, int(self.left_s * 1000))

    @property
    def function_name(self) -> str:
        return os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "")

    @property
    def function_version(self) -> str:
        return os.environ.get("AWS_LAMBDA_FUNCTION_VERSION", "")

    @property
    def memory_limit_in_mb(self) -> int:
        return int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0"))

    @property
    def log_group_name(self) -> str:
        return os.environ.get("AWS_LAMBDA_LOG_GROUP_NAME", "")

    @property
    def log_stream_name(self) -> str:
        return os.environ.get("AWS_LAMBDA_LOG_STREAM_NAME", "")
