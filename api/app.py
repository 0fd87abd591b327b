"""Wiring and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from time import monotonic
from typing import Any
from urllib.parse import parse_qsl

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.connection import ASGIConnection
from litestar.di import Provide
from litestar.handlers import BaseRouteHandler

from api.activity.routes import ActivityServices, activity_routes
from api.activity.service import ActivityFeeds
from api.chat.routes import chat_routes
from api.clock.routes import clock_routes
from api.docs.generator import openapi
from api.docs.routes import docs_routes, document_routes, page_routes
from api.events import Deadlines, Events, event_routes, rotation
from api.http.bodies import ApiRequest
from api.http.cors import Cors
from api.http.front_door import FrontDoor
from api.http.queries import check_query
from api.http.responses import EXCEPTION_HANDLERS, before_request, containing
from api.jobs import JobQueue
from api.notifications.routes import NotificationServices, notification_routes
from api.notifications.service import Notifications
from api.notifications.state import ReadStates
from api.relay.routes import RelayServices, relay_routes
from api.security.authenticator import Credentials
from api.security.cookies import SESSION_COOKIE
from api.security.principal import Principal
from api.security.routes import dev_session_controller
from api.services import Services, build_services
from api.settings import Settings
from api.telemetry.health import Health, Unusable
from api.telemetry.requests import RequestLog
from api.telemetry.routes import Watch, telemetry_routes
from api.upstash import AuthFailed, UpstashClient

Connection = ASGIConnection[Any, Any, Any, Any]
EXPOSED_HEADERS = [
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Poll-After-Ms",
    "X-Request-Id",
    "X-Run-Id",
    "X-Workflow-Run-Id",
]
ALLOWED_HEADERS = [
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "X-Request-Id",
]
TYPES = [Principal]


def create_app(
    settings: Settings,
    *,
    deadlines: Deadlines | None = None,
    services: Services | None = None,
    queue: JobQueue | None = None,
) -> Litestar:
    """The application.

    `deadlines` says how long answers last where it is deployed, and `queue` brings jobs to
    workers where Redis does not.
    """
    parts = services or build_services(settings, queue=queue)
    limits = deadlines or rotation(settings.stream_max_s, parts.streaming.rng)
    events = Events(parts.streaming, parts.publisher, parts.security, limits, settings)

    read_states = ReadStates(
        parts.streaming.log, settings.notifications_ttl_s, parts.streaming.clock
    )
    notifications = Notifications(parts.publisher, parts.streaming.log, read_states)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with parts.running():
            yield

    async def authenticate(request: Request[Any, Any, Any]) -> Principal:
        return await parts.security.authenticator.authenticate(_credentials(request))

    async def know_caller(request: Connection, handler: BaseRouteHandler) -> None:
        """A guard, since guards run before parameters and body are read: 401 comes first."""
        if "principal" in handler.parsed_fn_signature.parameters:
            request.scope["state"]["principal"] = await authenticate(Request(request.scope))

    async def principal(request: Request[Any, Any, Any]) -> Principal:
        known: Principal = request.scope["state"]["principal"]
        return known

    @cache
    def document() -> bytes:
        return openapi(
            routes,
            dependencies=dependencies,
            types=TYPES,
            catalogue=parts.catalogue,
            job_kinds=parts.jobs.registry.all(),
        )

    watch = Watch(
        settings=settings,
        metrics=parts.metrics,
        health=Health({"redis": lambda: _ask(parts.redis)}, monotonic=monotonic),
        is_draining=lambda: parts.streaming.open_streams.is_draining,
        authenticate=authenticate,
    )
    dependencies = {"principal": Provide(principal)}
    routes = [
        *event_routes(events),
        *notification_routes(NotificationServices(notifications, events)),
        *activity_routes(
            ActivityServices(ActivityFeeds(parts.publisher, parts.streaming.log), events)
        ),
        *clock_routes(events),
        *chat_routes(parts.chat),
        *parts.jobs.routes(events),
        *relay_routes(RelayServices(parts.relay, events)),
        *telemetry_routes(watch),
        *document_routes(document, parts.catalogue),
        *docs_routes(is_local=settings.is_local),
        *page_routes(settings),
    ]
    if settings.is_local:
        routes.append(dev_session_controller(parts.security, settings))
    app = Litestar(
        routes,
        before_request=_look_at,
        guards=[know_caller],
        dependencies=dependencies,
        exception_handlers=EXCEPTION_HANDLERS,
        lifespan=[lifespan],
        middleware=[containing],
        logging_config=None,
        request_class=ApiRequest,
        request_max_body_size=settings.max_body_bytes,
        signature_types=TYPES,
        openapi_config=None,
    )
    app.state.services = parts
    if cors := _cors(settings):
        app.asgi_handler = Cors(app.asgi_handler, cors)
    secret = settings.origin_secret
    door = FrontDoor(
        app.asgi_handler,
        origin_secret=secret.get_secret_value() if secret else None,
        loopback_only=settings.is_local,
    )
    app.asgi_handler = RequestLog(door, monotonic=monotonic)
    return app


async def _look_at(request: Request[Any, Any, Any]) -> Response[None] | None:
    """What comes before every handler: answer OPTIONS, and refuse a query that is a slip."""
    answer = await before_request(request)
    if answer is None:
        check_query(request)
    return answer


async def _ask(redis: UpstashClient) -> None:
    try:
        await redis.read("PING")
    except AuthFailed:
        raise Unusable(
            "the store refuses the token: compare UPSTASH_REDIS_REST_TOKEN with Upstash's console"
        ) from None


def _credentials(request: Request[Any, Any, Any]) -> Credentials:
    # Not Litestar's reading, which it keeps: names in the query are respelled after this.
    query = dict(parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True))
    return Credentials(
        method=request.method,
        authorization=request.headers.get("authorization"),
        cookie=request.cookies.get(SESSION_COOKIE),
        ticket=query.get("ticket"),
        origin=request.headers.get("origin"),
        host=request.headers.get("host"),
        fetch_site=request.headers.get("sec-fetch-site"),
        query_names=frozenset(query),
        takes_ticket=bool(request.route_handler.opt.get("takes_ticket")),
    )


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        # A wildcard with credentials would let every page act as its visitor.
        allow_credentials="*" not in settings.allowed_origins,
        max_age=7200,
    )
