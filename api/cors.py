"""Which pages of other origins may read: CORS as the framework does it, with two mends."""

from typing import Any

from litestar import Response
from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.middleware._internal.cors import CORSMiddleware
from litestar.types import Message, Send

from api.problems import PROBLEM_MEDIA_TYPE, BadRequest, render

REFUSED = 400


class Cors(CORSMiddleware):
    """Adds `Origin` to an answer's `Vary`, and refuses a preflight by a problem document."""

    def send_wrapper(self, send: Send, origin: str, has_cookie: bool) -> Send:  # noqa: FBT001
        vary: list[str] = []

        async def merge(message: Message) -> None:
            if message["type"] == "http.response.start" and vary:
                headers = MutableScopeHeaders.from_message(message=message)
                # The framework replaces it, and a shared cache would mix up what differs by it.
                names = ", ".join([*vary, headers.get("Vary", "")]).split(",")
                headers["Vary"] = ", ".join(dict.fromkeys(n.strip() for n in names if n.strip()))
            await send(message)

        framework = super().send_wrapper(merge, origin, has_cookie)

        async def wrapped(message: Message) -> None:
            if message["type"] == "http.response.start":
                vary[:] = MutableScopeHeaders.from_message(message=message).getall("Vary", [])
            await framework(message)

        return wrapped

    def _create_preflight_response(self, origin: str, request_headers: Headers) -> Response[Any]:
        answer: Response[Any] = super()._create_preflight_response(origin, request_headers)
        if answer.status_code != REFUSED:
            return answer
        problem = render(BadRequest(f"{answer.content}."))
        return Response(
            problem,
            status_code=REFUSED,
            media_type=PROBLEM_MEDIA_TYPE,
            headers={"Cache-Control": "no-store", "Vary": "Origin"},
        )
