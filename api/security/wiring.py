"""Builds the objects of this package from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from api.security.anonymous_streams import AnonymousStreams
from api.security.authenticator import Authenticator
from api.security.claims import ClaimNames
from api.security.grants import Access
from api.security.jwks import JwksKeys
from api.security.leases import ConnectionLimiter
from api.security.origins import OriginPolicy
from api.security.principal import Principal
from api.security.rates import Charge, RateLimiter, free
from api.security.team_tokens import Binding, TeamTokens
from api.security.tickets import TicketService
from api.security.tokens import SessionTokens
from api.settings import Settings
from api.system import System
from api.upstash import UpstashClient


@dataclass(frozen=True, slots=True)
class Security:
    """The parts of this package that the application uses, one of each for the process.

    `publish_rate` limits how fast one caller publishes. `new_topics` limits how many topics that
    were never used one caller may read; None is no limit.
    """

    authenticator: Authenticator
    access: Access
    tickets: TicketService
    connections: ConnectionLimiter
    anonymous_streams: AnonymousStreams
    publish_rate: RateLimiter
    new_topics: RateLimiter | None
    sessions: SessionTokens
    origins: OriginPolicy

    def new_topics_of(self, principal: Principal) -> Charge:
        """Return the function that charges the caller for topics that a first read writes to Redis.

        It takes their number, and raises RateLimited if they are too many.
        """
        return partial(self.new_topics.take, principal.id) if self.new_topics else free


def build_security(settings: Settings, redis: UpstashClient, system: System) -> Security:
    """Build all parts of this package from the settings. No network is touched."""
    secret, clock, new_id = settings.secret.get_secret_value(), system.clock, system.new_id
    access = Access()
    sessions = SessionTokens(secret, clock=clock, new_id=new_id)
    tickets = TicketService(secret, redis=redis, access=access, clock=clock, new_id=new_id)
    origins = OriginPolicy(settings.allowed_origins, https_only=not settings.is_local)
    return Security(
        authenticator=Authenticator(
            sessions=sessions, tickets=tickets, origins=origins, team=_team(settings, clock)
        ),
        access=access,
        tickets=tickets,
        connections=ConnectionLimiter(
            redis,
            per_user=_most(settings, "max_streams_per_user"),
            per_ip=_most(settings, "max_streams_per_ip"),
            stream_max_s=settings.stream_max_s,
            clock=clock,
            new_id=new_id,
            rng=system.rng,
        ),
        anonymous_streams=AnonymousStreams(
            per_ip=_most(settings, "max_anonymous_streams_per_ip"),
            most=_most(settings, "max_anonymous_streams"),
        ),
        publish_rate=RateLimiter(
            per_s=settings.publish_per_s, burst=settings.publish_burst, monotonic=system.monotonic
        ),
        new_topics=_new_topics(settings, system),
        sessions=sessions,
        origins=origins,
    )


def _new_topics(settings: Settings, system: System) -> RateLimiter | None:
    most = settings.new_topics_per_minute
    if not most:
        return None
    return RateLimiter(per_s=most / 60, burst=most, monotonic=system.monotonic)


def _team(settings: Settings, clock: Callable[[], float]) -> TeamTokens | None:
    if settings.jwks_url is None:
        return None
    return TeamTokens(
        JwksKeys(settings.jwks_url, clock=clock),
        issuer=settings.jwt_issuer,
        binding=_binding(settings),
        names=ClaimNames(user=settings.jwt_user_claim, roles=settings.jwt_roles_claim),
        clock=clock,
    )


def _binding(settings: Settings) -> Binding | None:
    audiences = frozenset(settings.jwt_audience)
    return Binding(settings.jwt_bound_by, audiences) if audiences else None


def _most(settings: Settings, name: str) -> int:
    # Local mode has no limit unless somebody sets one, to try it.
    if settings.is_local and name not in settings.model_fields_set:
        return 0
    most: int = getattr(settings, name)
    return most
