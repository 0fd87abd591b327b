"""A stream lives no longer than the token it was opened with."""

from __future__ import annotations

import json
from time import perf_counter

from tests.e2e.conftest import Start
from tests.support.raw_reader import Reader


async def test_a_stream_ends_when_its_token_expires_and_the_token_opens_no_other(
    start: Start,
) -> None:
    """`bye unauthorized` after two seconds, then 401 for the reconnect."""
    server = start(retry_ms=1000)
    began = perf_counter()
    token = server.token("alice", roles=[], ttl_s=2)
    async with Reader(server.url, token, ["user:alice:news"]) as reader:
        await reader.told_bye()
        lived_s = perf_counter() - began
        await reader.until(lambda: bool(reader.problem))

    assert [bye.reason for bye in reader.byes] == ["unauthorized"]
    assert 1.5 < lived_s < 3
    assert reader.status == 401
    assert json.loads(reader.problem)["code"] == "token-expired"
