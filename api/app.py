"""Wiring and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from time import monotonic
from typing import Any

from litestar import Litestar, Request
from litestar.config.cors import CORSConfig
from litestar.di import Provide

from api.activity.routes import ActivityServices, activity_routes
from api.activity.service import ActivityFeeds
from api.bodies import ApiRequest
from api.chat.routes import chat_routes
from api.clock.routes import clock_routes
from api.docs.generator import openapi
from api.docs.routes import docs_routes, document_routes, page_routes
from api.events.deadline import Deadlines, rotation
from api.events.opening import EventServices
from api.events.routes import event_routes
from api.jobs.queue import JobQueue
from api.jobs.routes import JobServices, job_routes
from api.notifications.routes import NotificationServices, notification_routes
from api.notifications.service import Notifications
from api.notifications.state import ReadStates
from api.relay.routes import RelayServices, relay_routes
from api.responses import EXCEPTION_HANDLERS, answer_options
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
    limits = deadlines or rotation(settings.stream_max_s, parts.desk.rng)
    events = EventServices(parts.desk, parts.publisher, parts.security, limits, settings)

    read_states = ReadStates(parts.desk.log, settings.notifications_ttl_s, parts.desk.clock)
    notifications = Notifications(parts.publisher, parts.desk.log, read_states)

    @asynccontextmanager
    async def lifespan(_: Litestar) -> AsyncIterator[None]:
        async with parts.running():
            yield

    async def principal(request: Request[Any, Any, Any]) -> Principal:
        return await parts.security.authenticator.authenticate(_credentials(request))

    @cache
    def document() -> bytes:
        return openapi(
            routes,
            dependencies=dependencies,
            types=TYPES,
            catalogue=parts.catalogue,
            job_kinds=parts.jobs.registry.kinds(),
        )

    watch = Watch(
        settings=settings,
        metrics=parts.metrics,
        health=Health({"redis": lambda: _ask(parts.redis)}, clock=monotonic),
        is_draining=lambda: parts.desk.streams.is_draining,
        authenticate=principal,
    )
    dependencies = {"principal": Provide(principal)}
    routes = [
        *event_routes(events),
        *notification_routes(NotificationServices(notifications, events)),
        *activity_routes(ActivityServices(ActivityFeeds(parts.publisher, parts.desk.log), events)),
        *clock_routes(events),
        *chat_routes(parts.chat),
        *job_routes(JobServices(parts.jobs.service, parts.jobs.watch, parts.jobs.hints, events)),
        *relay_routes(RelayServices(parts.relay, events)),
        *telemetry_routes(watch),
        *document_routes(document, parts.catalogue),
        *docs_routes(),
        *page_routes(settings),
    ]
    if settings.is_local:
        routes.append(dev_session_controller(parts.security, settings))
    app = Litestar(
        routes,
        before_request=answer_options,
        dependencies=dependencies,
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=_cors(settings),
        lifespan=[lifespan],
        logging_config=None,
        request_class=ApiRequest,
        request_max_body_size=settings.max_body_bytes,
        signature_types=TYPES,
        openapi_config=None,
    )
    app.state.services = parts
    app.asgi_handler = RequestLog(app.asgi_handler, clock=monotonic)
    return app


async def _ask(redis: UpstashClient) -> None:
    try:
        await redis.read("PING")
    except AuthFailed:
        raise Unusable(
            "the store refuses the token: compare UPSTASH_REDIS_REST_TOKEN with Upstash's console"
        ) from None


def _credentials(request: Request[Any, Any, Any]) -> Credentials:
    return Credentials(
        method=request.method,
        path=request.scope["path"],
        authorization=request.headers.get("authorization"),
        cookie=request.cookies.get(SESSION_COOKIE),
        ticket=request.query_params.get("ticket"),
        origin=request.headers.get("origin"),
        host=request.headers.get("host"),
        query_names=frozenset(request.query_params),
    )


def _cors(settings: Settings) -> CORSConfig | None:
    if not settings.allowed_origins:
        return None
    return CORSConfig(
        allow_origins=list(settings.allowed_origins),
        allow_methods=["GET", "POST", "DELETE", "OPTIONS"],
        allow_headers=ALLOWED_HEADERS,
        expose_headers=EXPOSED_HEADERS,
        allow_credentials=True,
        max_age=7200,
    )
