"""What may be asked for."""

from __future__ import annotations

import httpx

from tests.integration.jobs.conftest import Caller


async def test_types_are_listed_with_the_schemas_of_what_goes_in_and_comes_out(
    alice: Caller,
) -> None:
    """A form can be made of it."""
    answer = await alice.http.get("/api/jobs/types")

    types = {one["type"]: one for one in answer.raise_for_status().json()["data"]}
    assert list(types) == sorted(types)
    assert types["report"]["summary"] == "Counts rows."
    assert types["report"]["input"]["properties"]["rows"]["exclusiveMinimum"] == 0
    assert types["report"]["result"]["description"] == "What a report is made of."


async def test_types_are_shown_to_those_who_are_signed_in(alice: Caller) -> None:
    """They tell what a deployment does."""
    answer = await alice.http.get("/api/jobs/types", headers={"Authorization": ""})

    assert answer.status_code == httpx.codes.UNAUTHORIZED
