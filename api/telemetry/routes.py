"""The endpoints `/api/health` and `/api/metrics`, for those who watch the process."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any, Literal, Protocol

from litestar import Request, Response, get
from litestar.types import ControllerRouterHandler

from api.payloads.models import View
from api.problems import BadRequest, Forbidden, KeysUnavailable, TokenExpired, Unauthorized
from api.settings import Settings
from api.telemetry.health import Health, NotReady
from api.telemetry.metrics import MEDIA_TYPE, Metrics

AnyRequest = Request[Any, Any, Any]
WATCHING = (BadRequest, Unauthorized, TokenExpired, Forbidden, KeysUnavailable)
READINESS = {"problems": (NotReady,)}
NO_STORE = {"Cache-Control": "no-store"}


class Caller(Protocol):
    """What this package needs to know of a caller. It may not import the security package."""

    @property
    def is_admin(self) -> bool:
        """Whether the caller has the role `admin`."""
        ...


class HealthView(View):
    """The process can serve; `parts` has the names of the parts that were asked."""

    status: Literal["ok"] = "ok"
    parts: list[str]


@dataclass(frozen=True, slots=True)
class Watch:
    """What the handlers of these endpoints need.

    `is_draining` tells whether the process is about to end. `authenticate` finds out who calls, and
    raises a problem such as `Unauthorized` if that cannot be told.
    """

    settings: Settings
    metrics: Metrics
    health: Health
    is_draining: Callable[[], bool]
    authenticate: Callable[[AnyRequest], Awaitable[Caller]]


def telemetry_routes(watch: Watch) -> list[ControllerRouterHandler]:
    """Return the handlers of these endpoints.

    None takes a `principal`: probes have none, and metrics may be read with a token of their own.
    """

    async def readiness() -> Response[HealthView]:
        failing = await watch.health.failing()
        if failing:
            raise NotReady(parts=failing, reasons=watch.health.reasons)
        return Response(HealthView(parts=list(watch.health.parts)), headers=NO_STORE)

    @get("/api/health", name="health", tags=["telemetry"], opt=READINESS)
    async def health() -> Response[HealthView]:
        """Check whether everything that the process needs answers."""
        return await readiness()

    @get("/api/health/ready", name="ready", tags=["telemetry"], opt=READINESS)
    async def ready() -> Response[HealthView]:
        """Check the same as /api/health for load balancers; 503 while the process drains."""
        if watch.is_draining():
            raise NotReady("The process is about to end.")
        return await readiness()

    @get("/api/health/live", name="live", tags=["telemetry"])
    async def live() -> Response[HealthView]:
        """Check whether the process itself answers. Costs nothing, and asks no other part."""
        return Response(HealthView(parts=[]), headers=NO_STORE)

    @get(
        "/api/metrics",
        name="metrics",
        tags=["telemetry"],
        media_type="text/plain",
        security=[{"bearer": []}, {"cookie": []}],
        opt={"problems": WATCHING},
    )
    async def metrics(request: AnyRequest) -> Response[bytes]:
        """Return metrics in Prometheus's text format, for the metrics token and the role admin."""
        await _require_watcher(watch, request)
        return Response(watch.metrics.text(), media_type=MEDIA_TYPE, headers=NO_STORE)

    return [health, ready, live, metrics]


async def _require_watcher(watch: Watch, request: AnyRequest) -> None:
    if watch.settings.is_local or _has_metrics_token(watch.settings, request):
        return
    caller = await watch.authenticate(request)
    if not caller.is_admin:
        raise Forbidden("Metrics are for the role admin.")


def _has_metrics_token(settings: Settings, request: AnyRequest) -> bool:
    wanted = settings.metrics_token.get_secret_value() if settings.metrics_token else ""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    # An empty setting means that there is no token, and not that the token is "".
    if not wanted or scheme.lower() != "bearer":
        return False
    # As bytes, because compare_digest refuses text that is not ASCII.
    return compare_digest(token.encode(), wanted.encode())
