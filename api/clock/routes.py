"""`/api/clock`."""

from litestar import Controller, get
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from api.clock.clock import Clock, ClockStream
from api.events import sse
from api.events.deadline import Deadline
from api.events.opening import AnyRequest, EventServices, hold_stream
from api.events.stream import EventStream, Serve
from api.problems import OverConnectionLimit

EXAMPLE = """\
: millrace
retry: 2113

event: tick
data: {"type":"tick","time":"2026-11-20T12:00:00.000Z"}

"""
STREAM = ResponseSpec(
    str,
    media_type=sse.MEDIA_TYPE,
    generate_examples=False,
    description="Server-Sent Events: a `tick` each second, and at the end a `bye`.",
    examples=[Example(value=EXAMPLE)],
)


class ClockController(Controller):
    path = "/api/clock"
    tags = ("clock",)
    services: EventServices
    clock: Clock

    @get(name="read_clock", responses={200: STREAM}, opt={"problems": (OverConnectionLimit,)})
    async def read(self, request: AnyRequest) -> EventStream:
        """The server's time each second, for anybody."""

        def session(deadline: Deadline) -> Serve:
            return ClockStream(self.services.desk, deadline, self.clock).run

        return await hold_stream(request, self.services, session, principal=None, conn=None)


def clock_routes(services: EventServices) -> list[type[Controller]]:
    """The handler, bound to the one clock of the application."""
    bound = {"services": services, "clock": Clock(services.desk.clock)}
    return [type("ClockController", (ClockController,), bound)]
