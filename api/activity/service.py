"""Adding to a feed, and reading it backwards."""

from dataclasses import dataclass

from api.activity.feeds import ACTIVITY
from api.activity.models import ActivityBody
from api.events import Draft, HistoryPage, Published, Publisher, TopicLog, TopicName, page_back


@dataclass(frozen=True, slots=True)
class ActivityFeeds:
    """All feeds. A feed is a topic, so its entries can be streamed and resumed as all events."""

    publisher: Publisher
    log: TopicLog

    async def post(
        self, topic: TopicName, body: ActivityBody, *, caller: str, key: str | None
    ) -> Published:
        """Add an action, in the caller's name unless it says another. Raises `ApiError`."""
        data = body.model_dump(mode="json") | {"actor": body.actor or caller}
        draft = Draft(topic, ACTIVITY, data, key)
        return await self.publisher.publish(draft, owner=caller)

    async def page(self, topic: TopicName, *, limit: int, cursor: str | None) -> HistoryPage:
        """What stands in the feed, newest first. Raises `InvalidCursor` and `RedisError`."""
        return await page_back(self.log, [topic], limit=limit, cursor=cursor)
