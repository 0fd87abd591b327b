"""Builds the web application: its routes, and the middleware that every request passes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from time import monotonic
from typing import Any

from litestar import Litestar, Request, Response
from litestar.di import Provide
from litestar.types import ControllerRouterHandler

from api.docs.generator import openapi
from api.docs.routes import docs_routes, document_routes, page_routes
from api.events import Deadlines, Events, event_routes, rotation
from api.http.bodies import ApiRequest
from api.http.callers import Callers, principal_of
from api.http.cors import Cors, cors_config
from api.http.front_door import FrontDoor
from api.http.queries import check_query
from api.http.responses import EXCEPTION_HANDLERS, before_request, containing
from api.jobs import JobQueue
from api.security.principal import Principal
from api.security.routes import dev_session_controller
from api.services import Services, build_services
from api.settings import Settings
from api.telemetry.health import Health, Unusable
from api.telemetry.requests import RequestLog
from api.telemetry.routes import Watch, telemetry_routes
from api.upstash import AuthFailed, UpstashClient

TYPES = [Principal]  # types that Litestar must know to resolve the annotations of handlers
DEPENDENCIES = {"principal": Provide(principal_of)}


def create_app(
    settings: Settings,
    *,
    deadlines: Deadlines | None = None,
    services: Services | None = None,
    queue: JobQueue | None = None,
) -> Litestar:
    """Build the Litestar application. No network is touched before it is started.

    `deadlines` says how long an answer may last; None ends streams after 80 to 100 % of the setting
    `stream_max_s`. `services` are the parts to use; None builds them from `settings`. `queue`
    brings jobs to workers; None uses a queue in Redis. It is not used when `services` are given.
    """
    services = services or build_services(settings, queue=queue)
    limits = deadlines or rotation(settings.stream_max_s, services.streaming.rng)
    callers = Callers(services.security.authenticator)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with services.running():
            yield

    app = Litestar(
        _routes(services, limits, callers),
        before_request=_look_at,
        guards=[callers.guard],
        dependencies=DEPENDENCIES,
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        middleware=[containing],
        logging_config=None,
        request_class=ApiRequest,
        request_max_body_size=settings.max_body_bytes,
        signature_types=TYPES,
        openapi_config=None,
    )
    app.state.services = services
    if cors := cors_config(settings.allowed_origins):
        app.asgi_handler = Cors(app.asgi_handler, cors)
    secret = settings.origin_secret
    door = FrontDoor(
        app.asgi_handler,
        origin_secret=secret.get_secret_value() if secret else None,
        loopback_only=settings.is_local,
    )
    app.asgi_handler = RequestLog(door, monotonic=monotonic)
    return app


def _routes(
    services: Services, deadlines: Deadlines, callers: Callers
) -> list[ControllerRouterHandler]:
    settings, security, streaming = services.settings, services.security, services.streaming
    events = Events(streaming, services.publisher, security, deadlines, settings)
    watch = Watch(
        settings=settings,
        metrics=services.metrics,
        health=Health({"redis": lambda: _ask(services.redis)}, monotonic=monotonic),
        is_draining=lambda: streaming.open_streams.is_draining,
        authenticate=callers.authenticate,
    )

    @cache
    def document() -> bytes:
        return openapi(
            routes,
            dependencies=DEPENDENCIES,
            types=TYPES,
            catalogue=services.catalogue,
            describing=[feature.describe for feature in services.features],
        )

    routes: list[ControllerRouterHandler] = [*event_routes(events)]
    for feature in services.features:
        routes += feature.routes(events)
    routes += telemetry_routes(watch)
    routes += document_routes(document, services.catalogue)
    routes += docs_routes(is_local=settings.is_local)
    routes += page_routes(settings)
    if settings.is_local:
        routes.append(dev_session_controller(security, settings))
    return routes


async def _look_at(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Run before every handler: answer OPTIONS, and refuse misspelled query parameters."""
    answer = await before_request(request)
    if answer is None:
        check_query(request)
    return answer


async def _ask(redis: UpstashClient) -> None:
    """Raise `RedisError` or `Unusable` if Redis does not answer or does not take our token."""
    try:
        await redis.read("PING")
    except AuthFailed:
        raise Unusable(
            "the store refuses the token: compare UPSTASH_REDIS_REST_TOKEN with Upstash's console"
        ) from None
