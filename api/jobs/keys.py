"""Every Redis key of this package."""

from api.jobs.job import JobId

WAITING = "millrace:jobs:waiting"
"""Sorted set of `waiting_member`s, by the time at which they were queued."""
QUEUE = "millrace:jobs:queue"
"""Stream of `{job: id}`, where Redis is the queue."""
QUEUE_FIELD = "job"
UNSENT = "millrace:jobs:unsent"
"""Sorted set of `waiting_member`s that a queue outside of Redis may not have yet, by that time."""
DELAYED = "millrace:jobs:delayed"
"""Sorted set of job ids by the time at which they are due."""
DEAD = "millrace:jobs:dead"
"""Stream of `{job: id}` that no worker survived."""


def job_key(job_id: JobId) -> str:
    """Hash: `v` version, `w` id of the last write, `doc`, `r` small result, `l` `k` lease."""
    return f"millrace:job:{job_id}"


def input_key(job_id: JobId) -> str:
    return f"millrace:job:{job_id}:input"


def result_key(job_id: JobId) -> str:
    """A result too large to travel with the job."""
    return f"millrace:job:{job_id}:result"


def gone_key(job_id: JobId) -> str:
    """The owner of a job that is done: what is left of it when the rest has expired."""
    return f"millrace:job:{job_id}:gone"


def owner_key(owner: str) -> str:
    """Sorted set of the ids of a user's jobs, by the time of creation."""
    return f"millrace:jobs:of:{owner}"


def once_key(digest: str) -> str:
    """The job that an Idempotency-Key created."""
    return f"millrace:jobs:once:{digest}"


def waiting_member(job_id: JobId, version: int) -> str:
    """With the version: a member that is there proves that the job still waits, unchanged."""
    return f"{job_id}:{version}"
