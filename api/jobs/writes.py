"""What each change of a job writes, as commands: its state, its event, and where it is listed."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from api.events import EVENT_FIELD, Draft, Retentions, TopicName, log_key, xadd
from api.jobs import keys
from api.jobs.hints import Hints
from api.jobs.job import Job, JobStatus, topic_of
from api.jobs.models import job_json
from api.jobs.row import Row
from api.jobs.scripts import Command

EVENT_TYPE = "job"


@dataclass(frozen=True, slots=True)
class Retention:
    """Seconds for which jobs are kept once they are done, and for which one may wait."""

    result_s: int
    failed_s: int
    gone_s: int
    queue_s: int

    def after(self, status: JobStatus) -> int:
        """For how long a job that ended so can be read."""
        is_short = status in (JobStatus.SUCCEEDED, JobStatus.CANCELED)
        return self.result_s if is_short else self.failed_s

    @property
    def longest_s(self) -> int:
        return self.queue_s + max(self.result_s, self.failed_s)


@dataclass(frozen=True, slots=True)
class Writes:
    """Builds the commands. `announce` yields what a job that is done adds to other topics.

    With `queue_is_elsewhere` a job is noted as unsent until that queue has it.
    """

    keep: Retention
    topics: Retentions
    hints: Hints
    announce: Callable[[Job], Sequence[Draft]]
    queue_is_elsewhere: bool = False

    def stamped(self, job: Job, *, version: int, at_ms: int) -> Job:
        """The job as it is written: its version, and how long it will be there."""
        expires_ms = job.expires_ms
        if job.is_done and expires_ms is None:
            expires_ms = at_ms + self.keep.after(job.status) * 1000
        return replace(job, version=version, updated_ms=at_ms, expires_ms=expires_ms)

    def drafts(self, old: Job | None, job: Job) -> Sequence[Draft]:
        """Events for other topics than the job's own."""
        is_news = job.is_done and not (old and old.is_done)
        return self.announce(job) if is_news else ()

    def of_change(
        self, old: Job | None, row: Row, write_id: str, *, result_json: str | None = None
    ) -> list[Command]:
        """State and event of one change."""
        job = row.job
        event = msgspec.json.encode(
            {
                "type": EVENT_TYPE,
                "data": msgspec.Raw(job_json(job, poll_after_ms=self.hints.poll_after_ms(job))),
            }
        ).decode()
        commands: list[Command] = [
            ("HSET", keys.job_key(job.id), *row.fields(write_id)),
            self._xadd(topic_of(job.id), event),
        ]
        if old is None or old.status is not job.status:
            commands += self._of_status(old, job)
        if result_json is not None:
            commands.append(self._of_result(job, result_json))
        for draft in self.drafts(old, job):
            text = msgspec.json.encode({"type": draft.type, "data": draft.data}).decode()
            commands.append(self._xadd(draft.topic, text))
            commands.append(("EXPIRE", log_key(draft.topic), self.topics.of(draft.topic).ttl_s))
        return commands

    def of_creation(self, job: Job, input_json: str) -> list[Command]:
        """What a new job needs beside its state."""
        listed = keys.owner_key(job.owner)
        ttl_s = self.keep.longest_s
        return [
            ("SET", keys.input_key(job.id), input_json, "EX", ttl_s),
            ("ZADD", listed, job.created_ms, job.id),
            ("ZREMRANGEBYSCORE", listed, "-inf", job.created_ms - ttl_s * 1000),
            ("EXPIRE", listed, ttl_s),
        ]

    def of_enqueuing(self, job: Job) -> Command:
        if self.queue_is_elsewhere:
            return ("ZADD", keys.UNSENT, job.queued_ms, keys.waiting_member(job.id, job.version))
        return ("XADD", keys.QUEUE, "*", keys.QUEUE_FIELD, job.id)

    def of_discarding(self, job: Job) -> list[Command]:
        """All traces of a job that nobody has started."""
        return [
            ("DEL", keys.job_key(job.id)),
            ("DEL", keys.input_key(job.id)),
            ("DEL", log_key(topic_of(job.id))),
            ("ZREM", keys.WAITING, keys.waiting_member(job.id, job.version)),
            ("ZREM", keys.UNSENT, keys.waiting_member(job.id, job.version)),
            ("ZREM", keys.owner_key(job.owner), job.id),
        ]

    def _of_status(self, old: Job | None, job: Job) -> Iterator[Command]:
        ttl_s = self.keep.after(job.status) if job.is_done else self.keep.longest_s
        if not job.is_running:  # that has what it had in the queue
            yield "EXPIRE", keys.job_key(job.id), ttl_s
            yield "EXPIRE", log_key(topic_of(job.id)), ttl_s
        if not job.is_running and old is not None:
            yield "EXPIRE", keys.input_key(job.id), ttl_s
        if old is not None and old.is_queued:
            yield "ZREM", keys.WAITING, keys.waiting_member(job.id, old.version)
        if job.is_queued:
            oldest_ms = job.queued_ms - self.keep.queue_s * 1000
            yield "ZADD", keys.WAITING, job.queued_ms, keys.waiting_member(job.id, job.version)
            yield "ZREMRANGEBYSCORE", keys.WAITING, "-inf", oldest_ms
        if job.is_done:
            yield "SET", keys.gone_key(job.id), job.owner, "EX", ttl_s + self.keep.gone_s
        elif old is not None and old.is_done:
            yield "DEL", keys.gone_key(job.id)

    def _of_result(self, job: Job, result_json: str) -> Command:
        if job.result is not None:
            return "HSET", keys.job_key(job.id), "r", result_json
        return "SET", keys.result_key(job.id), result_json, "EX", self.keep.after(job.status)

    def _xadd(self, topic: TopicName, text: str) -> Command:
        return xadd(log_key(topic), EVENT_FIELD, text, keep=self.topics.of(topic).max_events)
