"""The application behind Function URLs and REST APIs that stream, on the loop of `runtime`.

A stream is held like in a container, until shortly before the invocation's deadline; then
`bye deadline` and a `retry:`, and the client goes on in another invocation.
"""

from collections.abc import Mapping
from typing import Any

from api.app import create_app
from api.events.deadline import FUNCTION_HOLD_S, Deadline
from api.events.sse import CloseReason
from functions.settings import read_settings
from functions.snapshots import survive_snapshots

# Earlier than the loop's own end: a reader that is slow must still get its goodbye.
MARGIN_S = 3.0


def invocation_end(scope: Mapping[str, Any]) -> Deadline:
    """What is left of the invocation, less a margin."""
    left_s = scope["aws.context"].get_remaining_time_in_millis() / 1000
    lifetime_s = max(0.0, left_s - MARGIN_S)
    return Deadline(lifetime_s, CloseReason.DEADLINE, hold_s=FUNCTION_HOLD_S)


settings = read_settings()
app = create_app(settings, deadlines=invocation_end)
survive_snapshots(app.state.services)
