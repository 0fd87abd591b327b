"""Failures in Ably's words: a code that SDKs act on, and an HTTP status."""

from __future__ import annotations

from typing import Any


class AblyError(Exception):
    """One failure as clients see it."""

    def __init__(self, code: int, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message

    def info(self) -> dict[str, Any]:
        """The ErrorInfo of the wire. Without statusCode the Python SDK would make it a 50000."""
        return {
            "code": self.code,
            "statusCode": self.status,
            "message": self.message,
            "href": f"https://help.ably.io/error/{self.code}",
        }


def bad_request(message: str) -> AblyError:
    return AblyError(40000, 400, message)


def not_mutable() -> AblyError:
    """As for a channel whose messages may not be updated, deleted or annotated; here none may."""
    return AblyError(93002, 400, "messages cannot be changed or annotated")


def not_permitted(operation: str, resource: str) -> AblyError:
    return AblyError(40160, 401, f"no capability for {operation} on {resource}")
