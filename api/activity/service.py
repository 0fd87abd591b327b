"""Adds activities to feeds, and lists the entries of feeds."""

from dataclasses import dataclass

from api.activity.feeds import ACTIVITY
from api.activity.models import ActivityBody
from api.events import Draft, HistoryPage, Published, Publisher, TopicLog, TopicName, page_back


@dataclass(frozen=True, slots=True)
class ActivityFeeds:
    """All activity feeds. A feed is a topic, so it is streamed and resumed like any topic."""

    publisher: Publisher
    log: TopicLog

    async def post(
        self, topic: TopicName, body: ActivityBody, *, caller: str, key: str | None
    ) -> Published:
        """Publish an activity to the feed with this topic, and return its event id.

        `caller` becomes the actor if `body` names none. With the same idempotency key `key` it is
        stored once; None is no key. May raise any `ApiError` of publishing.
        """
        data = body.model_dump(mode="json") | {"actor": body.actor or caller}
        draft = Draft(topic, ACTIVITY, data, key)
        return await self.publisher.publish(draft, owner=caller)

    async def page(self, topic: TopicName, *, limit: int, cursor: str | None) -> HistoryPage:
        """Return one page of the feed, newest entry first, `limit` at most.

        `cursor` is `next_cursor` of an earlier page; None asks for the first. Raises
        `InvalidCursor` and `RedisError`.
        """
        return await page_back(self.log, [topic], limit=limit, cursor=cursor)
