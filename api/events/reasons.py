"""Why a stream ended, and why a reader has to start anew. Both are words of the wire."""

from enum import StrEnum


class CloseReason(StrEnum):
    """Why a stream ended, as `bye` says it.

    The last two are never sent, only counted. GONE: the client closed the connection. COMPLETE:
    all was sent, and nothing will ever follow.
    """

    ROTATE = "rotate"
    DEADLINE = "deadline"
    OVERFLOW = "overflow"
    SHUTDOWN = "shutdown"
    UNAUTHORIZED = "unauthorized"
    GONE = "gone"
    COMPLETE = "complete"


class ResetReason(StrEnum):
    """Why events after a cursor are lost, as `reset` says it.

    TRIMMED: the log has dropped its oldest entries. EXPIRED: the log was empty. UNKNOWN: the
    cursor is ahead of the log.
    """

    TRIMMED = "trimmed"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
