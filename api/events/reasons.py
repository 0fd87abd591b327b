"""The reasons why a stream ends and why a reader has lost events, in the words that clients get."""

from enum import StrEnum


class CloseReason(StrEnum):
    """Why a stream ended.

    The first five are sent in `bye`. ROTATE: it was open for long enough, or failed on our side.
    DEADLINE: the function that serves it has to end its answer. OVERFLOW: the reader was too slow.
    SHUTDOWN: the process ends. UNAUTHORIZED: the caller's token expired. The last two are only
    counted in metrics. GONE: the client closed the connection. COMPLETE: everything was sent and
    nothing will ever follow.
    """

    ROTATE = "rotate"
    DEADLINE = "deadline"
    OVERFLOW = "overflow"
    SHUTDOWN = "shutdown"
    UNAUTHORIZED = "unauthorized"
    GONE = "gone"
    COMPLETE = "complete"


class ResetReason(StrEnum):
    """Why events after a position are no longer in the log; `reset` tells it to the client.

    TRIMMED: the oldest entries were dropped. EXPIRED: the log has no entries. UNKNOWN: the position
    is later than everything in the log.
    """

    TRIMMED = "trimmed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
