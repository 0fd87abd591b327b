"""How long an answer may last where each has an invocation of its own."""

from collections.abc import Mapping
from typing import Any

from api.events.deadline import FUNCTION_HOLD_S, Deadline
from api.events.sse import CloseReason

# Earlier than the loop's own end: a reader that is slow must still get its goodbye.
MARGIN_S = 3.0


def invocation_end(scope: Mapping[str, Any]) -> Deadline:
    """What is left of the invocation, less a margin."""
    left_s = scope["aws.context"].get_remaining_time_in_millis() / 1000
    lifetime_s = max(0.0, left_s - MARGIN_S)
    return Deadline(lifetime_s, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S, is_alone=True)
