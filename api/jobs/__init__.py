"""Jobs: work that callers ask for, that workers do, and whose state can be read meanwhile.

The face of the package: nothing outside of it imports anything else of it. What does jobs is loaded
when it is first asked for, because most processes do none. What serves requests is loaded by the
feature's `routes`, because workers start faster without the web framework.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from api.jobs.feature import JobsFeature
from api.jobs.feature import build as build_jobs_feature
from api.jobs.model.handlers import JobContext, JobFailed, JobHandler, NotAJobError, Registry, job
from api.jobs.model.job import JobId, find_job_id
from api.jobs.model.queue import (
    Delivery,
    DeliveryEnd,
    JobQueue,
    Outcome,
    QueueError,
    finish_delivery,
    take_or_give_back,
)

if TYPE_CHECKING:
    from api.jobs.work.job_workers import JobWorkers
    from api.jobs.work.runner import WorkTime
    from api.jobs.work.worker import Worker

_MODULE_OF = {"JobWorkers": "job_workers", "Worker": "worker", "WorkTime": "runner"}

__all__ = [
    "Delivery",
    "DeliveryEnd",
    "JobContext",
    "JobFailed",
    "JobHandler",
    "JobId",
    "JobQueue",
    "JobWorkers",
    "JobsFeature",
    "NotAJobError",
    "Outcome",
    "QueueError",
    "Registry",
    "WorkTime",
    "Worker",
    "build_jobs_feature",
    "find_job_id",
    "finish_delivery",
    "job",
    "take_or_give_back",
]


def __getattr__(name: str) -> Any:
    """What only those who do jobs need (PEP 562). Raises `AttributeError` for other names."""
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = import_module(f"api.jobs.work.{_MODULE_OF[name]}")
    return getattr(module, name)
