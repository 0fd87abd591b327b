"""The metrics of one application, in a registry of its own, in Prometheus's text format."""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from api.telemetry.meter import CommandMeter

MEDIA_TYPE = "text/plain; version=0.0.4"  # Litestar adds the charset
LAG_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class _Billed(Collector):
    """Reads the command meter when scraped, so that counting a command costs no metric call."""

    def __init__(self, meter: CommandMeter) -> None:
        self._meter = meter

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "millrace_redis_commands", "Commands as Upstash bills them", labels=["command"]
        )
        for name, count in self._meter.commands.items():
            family.add_metric([name], count)
        return [family]


class _Failures(Collector):
    """Reads, when scraped, how many connection leases Redis failed to take or keep."""

    def __init__(self, failures: Mapping[str, int]) -> None:
        self._failures = failures

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "millrace_lease_failures", "Connection leases that Redis failed", labels=["step"]
        )
        for step, count in self._failures.items():
            family.add_metric([step], count)
        return [family]


class Metrics:
    """The application's metrics, which other code counts up; all names start with `millrace_`."""

    def __init__(self, meter: CommandMeter) -> None:
        self.registry = registry = CollectorRegistry()
        registry.register(_Billed(meter))

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"millrace_{name}", text, labels, registry=registry)

        self.open_streams = Gauge("millrace_open_streams", "Streams held now", registry=registry)
        self.connects = counter("connects", "Streams opened")
        self.resumes = counter("resumes", "Streams and polls that came with a cursor")
        self.resets = counter("resets", "Gaps that readers were told of")
        self.delivered = counter("delivered_events", "Events handed to readers")
        self.published = counter("published_events", "Events stored")
        self.polls = counter("polls", "Reads of the log by the poller")
        self.empty_polls = counter("empty_polls", "Polls that brought nothing")
        self.poll_errors = counter("poll_errors", "Polls that failed")
        self.ends = counter("stream_ends", "Streams ended", "reason")
        self.refused = counter("refused_streams", "Streams not opened", "reason")
        self.deliveries = counter("job_deliveries", "Jobs that a worker was handed", "outcome")
        self.lag = Histogram(
            "millrace_publish_to_deliver_seconds",
            "From an event's id to its delivery, by this process's clock",
            buckets=LAG_BUCKETS_S,
            registry=registry,
        )

    def observe(
        self, *, open_streams: Callable[[], float], lease_failures: Mapping[str, int]
    ) -> None:
        """Have two numbers that others keep read at each scrape. Called once, when all is built.

        `open_streams` returns how many streams are open; `lease_failures` has the number of
        connection leases that Redis failed, by step.
        """
        self.open_streams.set_function(open_streams)
        self.registry.register(_Failures(lease_failures))

    def polled(self, *, newest_ms: int | None, now: float) -> None:
        """Count one poll of the logs, made at `now`, in seconds since 1970.

        `newest_ms` is when its newest event was stored, in milliseconds since 1970; None if none
        came.
        """
        self.polls.inc()
        if newest_ms is None:
            self.empty_polls.inc()
        else:
            self.lag.observe(max(0.0, now - newest_ms / 1000))

    def text(self) -> bytes:
        """Return all metrics in Prometheus's text format, of media type `MEDIA_TYPE`."""
        return generate_latest(self.registry)
