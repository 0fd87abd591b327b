"""The vendor's Chat SDK, unmodified, works against the local server."""

from __future__ import annotations

from tests.integration.local_ably.scripts import needs_node, run_node
from tests.support.ably_server import AblyServer

pytestmark = needs_node


async def test_a_room_has_messages_history_presence_typing_and_occupancy(
    ably: AblyServer,
) -> None:
    """The server refuses what it lacks, such as changing a message."""
    results = await run_node(ably, "ably-chat.mjs")

    assert results == {
        "heard": [["grüße", "alice", "fine", "de"], ["again", "alice", None, None]],
        "sent": ["grüße", True, True],
        "before": ["before"],
        "pages": [["again", "grüße"], ["before"]],
        "typing": ["alice"],
        "present": [["alice", "here"]],
        "occupancy": {"connections": 2, "presenceMembers": 1},
        "update": 40400,
    }
