"""Where jobs are done: only what does them loads the parts for it."""

from api.jobs.queue import JobQueue
from api.jobs.workshop import Workshop, build_workshop
from api.services import Services


def workshop_of(services: Services, queue: JobQueue | None) -> Workshop:
    """The workers of this process. `queue` is that of the services; None means Redis."""
    return build_workshop(
        services.settings,
        services.redis,
        services.jobs,
        queue,
        metrics=services.metrics,
        system=services.system,
    )
