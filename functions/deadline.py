"""How long an answer may last where each has an invocation of its own."""

from collections.abc import Mapping
from typing import Any

# Earlier than the loop's own end: a reader that is slow must still get its goodbye.
from api.events import FUNCTION_HOLD_S, CloseReason, Deadline

MARGIN_S = 3.0


def invocation_end(scope: Mapping[str, Any]) -> Deadline:
    """What is left of the invocation, less a margin."""
    left_s = scope["aws.context"].get_remaining_time_in_millis() / 1000
    lifetime_s = max(0.0, left_s - MARGIN_S)
    return Deadline(lifetime_s, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S, is_alone=True)
