"""Sends the jobs that were stored but not sent, because their process died in between.

Where Redis is the queue this cannot happen: one script stores the job and queues it.
"""

from dataclasses import dataclass

import structlog

from api.jobs.model.job import find_job_id
from api.jobs.model.queue import JobQueue
from api.jobs.store import layout
from api.jobs.store.store import JobStore
from api.upstash import Script

GRACE_S = 60  # longer than a request may take to send its job
AT_ONCE = 100

# KEYS[1] are the unsent. ARGV: the latest time of those that are taken, how many, and their new
# time. With that no other sweep takes them now; if this one dies, a later one does.
TAKE = Script(
    """
local found = redis.call('ZRANGE', KEYS[1], '-inf', ARGV[1], 'BYSCORE', 'LIMIT', 0, ARGV[2])
for _, member in ipairs(found) do redis.call('ZADD', KEYS[1], 'XX', ARGV[3], member) end
return found
""",
    calls=lambda found: ["ZRANGE", *["ZADD"] * len(found)],
)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweep:
    """Sends jobs that were stored but never sent to a queue outside of Redis.

    Raises `RedisError` and `QueueError`; the next run then sends what this one did not.
    """

    store: JobStore
    queue: JobQueue

    async def run(self) -> int:
        """Send up to `AT_ONCE` jobs that have been unsent for `GRACE_S` seconds; return how many.

        A job that has another version by now was sent, or needs no worker any more.
        """
        now_ms = self.store.now_ms()
        found: list[str] = await self.store.redis.script(
            TAKE,
            keys=[layout.UNSENT],
            args=[now_ms - GRACE_S * 1000, AT_ONCE, now_ms],
            repeatable=True,
        )
        sent = 0
        for member in found:
            text, _, version = member.rpartition(":")
            job_id = find_job_id(text)
            job = await self.store.find(job_id) if job_id else None
            if job is not None and job.is_queued and str(job.version) == version:
                await self.queue.enqueue(job.id)
                log.warning("job.sent_late", job_id=job.id)
                sent += 1
            await self.store.redis.write("ZREM", layout.UNSENT, member, repeatable=True)
        return sent
