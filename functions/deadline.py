"""How long an answer may last where each has an invocation of its own, as on Lambda."""

from collections.abc import Mapping
from typing import Any

from api.events import FUNCTION_HOLD_S, CloseReason, Deadline

# Earlier than the loop's own end, so that a slow reader still gets its `bye`.
MARGIN_S = 3.0


def invocation_end(scope: Mapping[str, Any]) -> Deadline:
    """The deadline of an answer: the time left of its invocation, less a margin."""
    left_s = scope["aws.context"].get_remaining_time_in_millis() / 1000
    lifetime_s = max(0.0, left_s - MARGIN_S)
    return Deadline(lifetime_s, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S, is_alone=True)
