"""Why a stream ended, and why a reader has to start anew."""

from enum import StrEnum


class CloseReason(StrEnum):
    """Why a stream ended. The last two are for metrics and never sent.

    GONE is the client's own doing; after COMPLETE there is nothing to come back for.
    """

    ROTATE = "rotate"
    DEADLINE = "deadline"
    OVERFLOW = "overflow"
    SHUTDOWN = "shutdown"
    UNAUTHORIZED = "unauthorized"
    GONE = "gone"
    COMPLETE = "complete"


class ResetReason(StrEnum):
    """Why the events after a cursor cannot be had."""

    TRIMMED = "trimmed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
