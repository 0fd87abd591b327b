"""Jobs: work that callers ask for, that workers do, and whose state can be read meanwhile.

Code outside of this package imports only the names that are listed here. `JobWorkers`, `Worker` and
`WorkTime` are loaded at their first use, because most processes do no jobs. The HTTP routes are
loaded by the feature's `routes`, so that workers start without the web framework.
"""

from typing import TYPE_CHECKING

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
from api.lazy_names import lazy_names

if TYPE_CHECKING:
    from api.jobs.work.job_workers import JobWorkers
    from api.jobs.work.runner import WorkTime
    from api.jobs.work.worker import Worker

__getattr__ = lazy_names(__name__, ["work.job_workers", "work.worker", "work.runner"])
