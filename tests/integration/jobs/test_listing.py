"""Several jobs at once: by their ids, and page by page."""

from __future__ import annotations

import asyncio

from api.jobs.model.job import job_id_of
from api.jobs.store import layout
from api.jobs.store.store import JobStore
from tests.integration.jobs.conftest import Bill, Caller, Site
from tests.support.instances import Instance
from tests.support.upstash_server import UpstashServer


async def test_a_hundred_jobs_are_read_in_one_round_trip(
    site: Site, alice: Caller, upstash: UpstashServer, bill: Bill
):
    """By a process that knows none of them; and then by one that knows them all."""
    ids = [await alice.created() for _ in range(100)]
    cold = site.caller(await site.start())
    bill()
    upstash.faults(rtt_ms=200)
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = await cold.ask(ids=",".join(ids))
    took_s = loop.time() - began
    upstash.clear_faults()
    commands = bill()
    again = await alice.ask(ids=",".join(ids))

    assert [one["id"] for one in answer.json()["data"]] == ids
    assert answer.json()["missing"] == []
    assert 450 <= answer.json()["poll_after_ms"] <= 550
    assert took_s < 0.39
    assert commands == {"HMGET": 100}
    assert again.status_code == 200


async def test_several_jobs_have_an_etag_of_their_versions(alice: Caller, store: JobStore):
    """304 until one of them changes; those that are not there are named."""
    first, second = await alice.created(), await alice.created()
    wanted = f"{first},nonsense,{second},{first},job_{'0' * 26}"
    answer = await alice.ask(ids=wanted)
    same = await alice.ask(ids=wanted, etag=answer.headers["etag"])
    await alice.act(second, "cancel")
    other = await alice.ask(ids=wanted, etag=answer.headers["etag"])

    assert [one["id"] for one in answer.json()["data"]] == [first, second]
    assert answer.json()["missing"] == ["nonsense", f"job_{'0' * 26}"]
    assert (same.status_code, other.status_code) == (304, 200)
    assert int(same.headers["x-poll-after-ms"]) > 0
    done = await alice.ask(ids=second)
    assert (done.json()["poll_after_ms"], "retry-after" in done.headers) == (0, False)


async def test_pages_are_stable_while_jobs_are_added(alice: Caller):
    """Newest first; each job comes once."""
    ids = [await alice.created() for _ in range(7)]
    seen: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        answer = await alice.ask(limit=3, **cursor)
        page = answer.json()
        seen += [one["id"] for one in page["data"]]
        await alice.created()
        if not page["has_more"]:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert seen == sorted(ids, reverse=True)
    assert page["next_cursor"] is None
    assert "stale-if-error=60" in answer.headers["cache-control"]


async def test_lists_are_filtered_and_validated(alice: Caller, bob: Caller):
    """By status and type; one's own only."""
    jobs = [await alice.created() for _ in range(3)]
    await bob.created()
    await alice.act(jobs[1], "cancel")
    canceled = await alice.ask(status="canceled")
    both = await alice.ask(status="queued", type="report")
    other = await alice.ask(type="nothing")
    same = await alice.ask(status="canceled", etag=canceled.headers["etag"])

    assert [one["id"] for one in canceled.json()["data"]] == [jobs[1]]
    assert [one["id"] for one in both.json()["data"]] == [jobs[2], jobs[0]]
    assert other.json() == {"data": [], "next_cursor": None, "has_more": False}
    assert same.status_code == 304


async def test_a_filtered_list_looks_beyond_the_first_page(alice: Caller):
    """What passes may be far behind."""
    oldest = await alice.created()
    await alice.act(oldest, "cancel")
    await asyncio.gather(*(alice.created() for _ in range(110)))
    answer = await alice.ask(status="canceled", limit=1)

    assert [one["id"] for one in answer.json()["data"]] == [oldest]


async def test_a_scan_of_a_long_list_ends(alice: Caller, instance: Instance):
    """The next page goes on where it stopped, however many jobs do not pass."""
    oldest = await alice.created()
    ids = [job_id_of(1_900_000_000_000 + n, str(n)) for n in range(1000)]
    entries = [part for n, one in enumerate(ids) for part in (1_900_000_000_000 + n, one)]
    await instance.services.redis.write("ZADD", layout.owner_key("alice"), *entries)
    first = (await alice.ask(status="queued")).json()
    second = (await alice.ask(status="queued", cursor=first["next_cursor"])).json()

    assert (first["data"], first["has_more"]) == ([], True)
    assert [one["id"] for one in second["data"]] == [oldest]
    assert second["has_more"] is False
