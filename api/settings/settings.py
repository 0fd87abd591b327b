"""All settings of the application. Four of them make a deployment; the others have defaults."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from api.settings.reading import FromEnvironment
from api.settings.relay_sources import RelaySources
from api.settings.types import (
    AblyApiKey,
    CommaSeparated,
    Environment,
    HeaderSecret,
    Origins,
    RestUrl,
    ServiceUrl,
    SigningSecret,
)
from api.settings.urls import travels_in_clear


class Settings(FromEnvironment):
    """The settings of one process. A wrong value stops the start with a complaint that names it."""

    env: Environment = Environment.PRODUCTION

    upstash_url: RestUrl = Field(validation_alias="UPSTASH_REDIS_REST_URL")
    upstash_token: HeaderSecret = Field(validation_alias="UPSTASH_REDIS_REST_TOKEN", min_length=1)
    ably_api_key: AblyApiKey | None = Field(default=None, validation_alias="ABLY_API_KEY")
    secret: SigningSecret = Field(
        description="Signs sessions and tickets. At least 32 random characters."
    )

    # Who calls
    jwks_url: ServiceUrl | None = Field(default=None, description="Keys of the team's own tokens.")
    jwt_issuer: str | None = Field(default=None, description="Required `iss` of JWKS tokens.")
    jwt_audience: CommaSeparated = Field(
        default=(), description="Whom JWKS tokens are for; one of these, comma separated."
    )
    jwt_bound_by: Literal["aud", "azp", "client_id"] = Field(
        default="aud", description="The claim of JWKS tokens that must hold MILLRACE_JWT_AUDIENCE."
    )
    jwt_user_claim: str = Field(
        default="sub", min_length=1, description="The claim of JWKS tokens that is the user's id."
    )
    jwt_roles_claim: str = Field(
        default="roles", min_length=1, description="The claim of JWKS tokens that holds the roles."
    )
    allowed_origins: Origins = Field(
        default=(), description="Origins, comma separated, for CORS and for writes by cookie."
    )
    trusted_proxies: int = Field(
        default=0, ge=0, le=10, description="Proxies in front that append to X-Forwarded-For."
    )
    origin_secret: HeaderSecret | None = Field(
        default=None,
        min_length=32,
        description="X-Origin-Secret of every request, which the CDN in front adds.",
    )
    max_streams_per_user: int = Field(
        default=20, ge=0, description="Open streams of one user; 0 = no limit (as in local mode)."
    )
    max_streams_per_ip: int = Field(
        default=100, ge=0, description="Open streams of one address; 0 = no limit."
    )
    max_anonymous_streams_per_ip: int = Field(
        default=5, ge=0, description="Those of an address without signing in, per process."
    )
    max_anonymous_streams: int = Field(
        default=50, ge=0, description="All of them in one process; more come back later."
    )
    publish_per_s: float = Field(
        default=50.0, gt=0, description="Events a second one caller may publish, per process."
    )
    publish_burst: int = Field(default=500, ge=1, description="Events above that at once.")
    new_topics_per_minute: int = Field(
        default=100,
        ge=0,
        description="Topics never used that one caller may read, per process; 0 = no limit.",
    )
    metrics_token: HeaderSecret | None = Field(
        default=None, description="Bearer token for /api/metrics, beside the role admin."
    )

    # Topics and their logs
    topic_max_events: int = Field(
        default=10_000, ge=100, le=1_000_000, description="Newest events a topic keeps, at least."
    )
    topic_ttl_s: int = Field(
        default=86_400,
        ge=60,
        description="Seconds a topic outlives its last event; at least 3/4 of it.",
    )
    max_event_bytes: int = Field(
        default=65_536, ge=256, le=1_000_000, description="Bytes of one stored event."
    )
    max_body_bytes: int = Field(
        default=1_048_576, ge=1024, le=10_000_000, description="Bytes of one request body."
    )
    idempotency_ttl_s: int = Field(
        default=86_400, ge=60, description="Seconds an Idempotency-Key is remembered."
    )

    # Feeds and notifications
    activity_max_events: int = Field(
        default=1000, ge=10, le=100_000, description="Newest entries a feed keeps, at least."
    )
    activity_ttl_s: int = Field(
        default=2_592_000, ge=60, description="Seconds a feed outlives its last entry, as a topic."
    )
    notifications_max: int = Field(
        default=500, ge=10, le=5000, description="Newest of a user, and of all, kept at least."
    )
    notifications_ttl_s: int = Field(
        default=2_592_000, ge=60, description="Age at which a notification is no longer shown."
    )

    # Jobs
    job_queue_ttl_s: int = Field(
        default=86_400, ge=1, description="Seconds a job waits for a start before it expires."
    )
    job_result_ttl_s: int = Field(
        default=86_400, ge=1, description="Seconds a job that succeeded or was canceled is kept."
    )
    job_failed_ttl_s: int = Field(
        default=604_800, ge=1, description="Seconds a job that failed or expired is kept."
    )
    job_gone_ttl_s: int = Field(
        default=86_400, ge=1, description="Seconds after that in which reading it is 410, not 404."
    )
    job_workers: int = Field(
        default=2, ge=0, le=100, description="Jobs at once in one process; 0 = none."
    )
    job_lease_s: float = Field(
        default=30.0, ge=1, le=3600, description="Until a dead worker's job goes to another."
    )
    job_heartbeat_s: float = Field(
        default=5.0, ge=0.1, le=600, description="Between heartbeats of a running job."
    )
    job_backoff_s: float = Field(
        default=2.0, ge=0.1, le=300, description="Before the second attempt; doubled with each."
    )
    job_max_receives: int = Field(
        default=4, ge=1, le=100, description="Deliveries that end in nothing until a job is dead."
    )
    job_result_max_bytes: int = Field(
        default=1_000_000, ge=1024, le=5_000_000, description="Bytes of one result as JSON."
    )
    job_poll_idle_ms: int = Field(
        default=2000, ge=10, le=60_000, description="Longest pause of an idle worker on Redis."
    )
    jobs_queue_url: ServiceUrl | None = Field(
        default=None, description="The queue in SQS; without it, Redis is."
    )
    example_jobs: bool | None = Field(
        default=None, description="Types of job to try; without a word, in local mode only."
    )

    # Reading Redis
    poll_min_ms: int = Field(default=100, ge=10, le=5000, description="Pause after activity.")
    poll_idle_ms: int = Field(
        default=2000, ge=10, le=60_000, description="Longest pause without events."
    )
    doorbell: bool = Field(
        default=False, description="Wake pollers by pub/sub: one more command a publish."
    )
    doorbell_poll_s: int = Field(
        default=30, ge=5, le=300, description="Longest pause while the doorbell is connected."
    )
    redis_timeout_s: float = Field(default=5.0, gt=0, le=60, description="Whole call to Redis.")

    # Chat
    ably_url: ServiceUrl | None = Field(
        default=None, description="Ably's REST API, where it is not Ably's."
    )
    chat_namespace: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9_.~-]{1,64}$",
        description="Stands before the names of all channels: `<namespace>:room:<id>`.",
    )
    chat_direct_publish: bool = Field(
        default=True, description="Members send to Ably themselves; else only through us."
    )
    chat_activity: bool = Field(
        default=True, description="Messages show in the feed `workspace:<room>`; members read it."
    )
    chat_webhook_secret: HeaderSecret | None = Field(
        default=None, min_length=16, description="X-Webhook-Secret of single deliveries."
    )
    chat_max_rooms: int = Field(default=200, ge=1, le=2000, description="Rooms of one user.")
    chat_tokens_per_s: float = Field(
        default=0.5, gt=0, description="Tokens a second for one user, per process."
    )
    chat_tokens_burst: int = Field(default=20, ge=1, description="Tokens above that at once.")
    chat_message_bytes: int = Field(
        default=16_384, ge=1, le=60_000, description="Data of one message sent through us."
    )
    chat_messages_per_s: float = Field(
        default=2.0, gt=0, description="Messages a second of one user, per process."
    )
    chat_messages_burst: int = Field(default=20, ge=1, description="Messages above that at once.")
    chat_blocked_words: CommaSeparated = Field(
        default=(), description="Words, comma separated, that no message sent through us holds."
    )

    # Streams
    stream_max_s: int = Field(
        default=3600, ge=5, le=86_400, description="Longest life of a held stream, before jitter."
    )
    max_streams: int = Field(
        default=10_000, ge=1, description="Held streams of one process; more come back later."
    )
    window_s: float = Field(
        default=5.0, ge=0, le=25, description="Longest hold of a buffered answer (Mangum)."
    )
    keep_alive_s: int = Field(default=15, ge=1, le=120, description="Between keep-alive comments.")
    retry_ms: int = Field(
        default=2000, ge=1000, le=60_000, description="Middle of the jittered `retry:`."
    )
    lag_max_bytes: int = Field(
        default=1_048_576, ge=65_536, description="Backlog a slow reader may build up."
    )
    drain_s: float = Field(default=10.0, ge=0, le=120, description="Time to end all on SIGTERM.")

    # Streams of others
    relay_sources: RelaySources = Field(
        default={}, description="JSON: name -> url, headers, … of upstreams that are passed on."
    )

    relay_lease_s: float = Field(
        default=30.0, ge=1, le=300, description="How long a dead process blocks a source, at most."
    )

    # The process
    max_url_bytes: int = Field(
        default=32_768, ge=1024, le=1_000_000, description="Bytes of a request's path and query."
    )
    max_head_bytes: int = Field(
        default=65_536, ge=4096, le=1_000_000, description="Bytes of a request's line and headers."
    )
    head_timeout_s: float = Field(
        default=10.0, ge=0.1, le=300, description="For a request's head to arrive."
    )
    body_timeout_s: float = Field(
        default=30.0, ge=0.1, le=3600, description="For a request's body to arrive."
    )
    max_connections: int = Field(
        default=20_000, ge=1, description="Connections of one process; more are refused."
    )
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65_535)
    log_level: str = Field(default="info", pattern="^(debug|info|warning|error)$")
    extensions: CommaSeparated = Field(default=(), description="Modules, comma separated.")
    web_root: Path | None = Field(default=None, description="Folder of the page served at /.")

    @model_validator(mode="after")
    def _beats_in_time(self) -> Self:
        if self.job_heartbeat_s > self.job_lease_s / 2:
            raise ValueError("MILLRACE_JOB_LEASE_S must be at least twice MILLRACE_JOB_HEARTBEAT_S")
        return self

    @model_validator(mode="after")
    def _safe_in_production(self) -> Self:
        if self.env is Environment.LOCAL:
            return self
        if "local" in self.secret.get_secret_value().lower():
            raise ValueError("MILLRACE_SECRET is the local one: production needs its own")
        urls = {
            "UPSTASH_REDIS_REST_URL": self.upstash_url,
            "MILLRACE_ABLY_URL": self.ably_url,
            "MILLRACE_JWKS_URL": self.jwks_url,
            "MILLRACE_JOBS_QUEUE_URL": self.jobs_queue_url,
        }
        for name, url in urls.items():
            if url and travels_in_clear(url):
                raise ValueError(f"{name} must be https: secrets would travel in clear text")
        if self.jwks_url and not self.jwt_audience:
            raise ValueError(
                "MILLRACE_JWKS_URL needs MILLRACE_JWT_AUDIENCE, "
                "or tokens made for others would be accepted; where tokens have no `aud`, "
                "MILLRACE_JWT_BOUND_BY names the claim to look at"
            )
        if not all(source.is_https for source in self.relay_sources.values()):
            raise ValueError("MILLRACE_RELAY_SOURCES: a url must be https outside local mode")
        return self

    @property
    def is_local(self) -> bool:
        """Whether the process runs in local mode: on the machine of one developer."""
        return self.env is Environment.LOCAL

    @property
    def has_example_jobs(self) -> bool:
        """Whether callers may create jobs of the example types: as `example_jobs` says.

        If that is None, only in local mode.
        """
        return self.is_local if self.example_jobs is None else self.example_jobs
