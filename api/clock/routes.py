"""The route `/api/clock`."""

from typing import Any

from litestar import Controller, Response, get
from litestar.openapi import ResponseSpec
from litestar.openapi.spec import Example

from api.clock.clock import Clock, ClockStream
from api.controllers import bound
from api.events import AnyRequest, Deadline, Events, Serve, admit_stream, sse, wants_json
from api.payloads.responses import JSON
from api.problems import NotAcceptable, OverConnectionLimit

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
READING = {"problems": (NotAcceptable, OverConnectionLimit)}
# A cache would answer with a time that has passed.
HEADERS = {"Cache-Control": "no-store", "Vary": "Accept"}


class ClockController(Controller):
    """`/api/clock`: the server's time, for anybody."""

    path = "/api/clock"
    tags = ("clock",)
    clock: Clock
    events: Events

    @get(name="read_clock", responses={200: STREAM}, opt=READING)
    async def read(self, request: AnyRequest) -> Response[Any]:
        """Stream the server's time each second, or answer it once as JSON, for anybody."""
        if wants_json(request):
            return Response({"time": self.clock.time()}, media_type=JSON, headers=HEADERS)

        def session(deadline: Deadline) -> Serve:
            return ClockStream(self.events.streaming, deadline, self.clock).run

        return await admit_stream(request, self.events, session, principal=None, conn=None)


def clock_routes(clock: Clock, events: Events) -> list[type[Controller]]:
    """Build the controllers of all routes of the clock."""
    return [bound(ClockController, clock=clock, events=events)]
