"""The rule that lets the owner of a job read its topic."""

from dataclasses import dataclass

from api.jobs.model.job import find_job_id
from api.jobs.store.cache import JobCache
from api.problems import StoreUnavailable
from api.security.grants import Action
from api.security.principal import Principal
from api.upstash import RedisError

TOPICS = "job:*"


@dataclass(frozen=True, slots=True)
class OwnersRead:
    """Grants the owner of a job to read `job:<id>`. It grants nobody to publish there."""

    cache: JobCache

    async def allows(self, principal: Principal, action: Action, topic: str) -> bool:
        """Return whether `action` is to read the topic of a job that `principal` owns.

        Raises `StoreUnavailable` if Redis fails.
        """
        job_id = find_job_id(topic.partition(":")[2])
        if action is not Action.READ or job_id is None:
            return False
        try:
            seen = await self.cache.get(job_id)
        except RedisError as error:
            raise StoreUnavailable from error
        return seen is not None and seen.job.owner == principal.id
