"""The problems that only chat answers with."""

from api.problems import (
    ApiError,
    Forbidden,
    ForeignOrigin,
    NotFound,
    Unauthorized,
    ValidationFailed,
)


class UnknownRoom(NotFound):
    """Raised when a room does not exist, or is a private one that the caller is not in.

    The answer is the same for both, so nobody learns that a private room exists.
    """

    code = "unknown-room"
    title = "There is no such room for you"
    remediation = "Ask a moderator of the room for an invitation, or create it."


class Banned(Forbidden):
    """Raised when the user is banned from the room, or from all rooms."""

    code = "banned"
    title = "You are banned"
    remediation = "Ask a moderator of the room."


class NotAllowedInRoom(Forbidden):
    """Raised when the caller is in the room, with a role that does not allow this."""

    code = "not-allowed-in-room"
    title = "Your role in this room does not allow this"
    remediation = "Ask a moderator of the room for another role."


class RoomConflict(ApiError):
    """Raised when a rule about rooms does not allow the change now; `detail` says which rule."""

    code = "room-conflict"
    status = 409
    title = "The room is not in a state for this"
    remediation = "Read `detail`, look at the room again, and decide anew."


class RoomEnded(ApiError):
    """Raised when a room is created under the id of a room that has ended."""

    code = "room-ended"
    status = 410
    title = "A room with this id has ended"
    remediation = "Choose another id, or leave it out; no id is used twice."


class MessageRefused(ValidationFailed):
    """Raised when a message breaks a rule of our moderation; `errors` names the rule."""

    code = "message-refused"
    title = "The message breaks a rule of this chat"
    remediation = "Change what `errors` names and send it again."


class WebhookUnverified(Unauthorized):
    """Raised when a webhook request has neither the right signature nor the right secret."""

    code = "webhook-unverified"
    title = "This does not come from our Ably application"
    remediation = "Sign the rule with the key of ABLY_API_KEY, or send its secret header."


class ChatNotConfigured(ApiError):
    """Raised when a request needs Ably and the operator has set no API key of Ably."""

    code = "chat-not-configured"
    status = 503
    title = "This deployment has no Ably application"
    remediation = "Set ABLY_API_KEY and start anew."


class AblyUnavailable(ApiError):
    """Raised when Ably did not answer in time or cannot do it now. A later try may succeed."""

    code = "ably-unavailable"
    status = 503
    title = "Ably does not answer"
    remediation = "Try again after Retry-After seconds."

    def __init__(self, detail: str | None = None) -> None:
        super().__init__(detail, headers={"Retry-After": "2"})


class AblyRefused(ApiError):
    """Raised when Ably refuses our request, mostly because our API key may not do this."""

    code = "ably-refused"
    status = 502
    title = "Ably refuses the request"
    remediation = "The operator checks the capabilities of the key in ABLY_API_KEY."


# The problems of routes that read a room, change something, decide about others, need Ably.
IN_ROOM = (ValidationFailed, UnknownRoom)
CHANGING = (*IN_ROOM, ForeignOrigin)
DECIDING = (*CHANGING, NotAllowedInRoom, RoomConflict)
ON_ABLY = (ChatNotConfigured, AblyRefused, AblyUnavailable)
