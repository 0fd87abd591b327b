"""An extension's models, whose validators may raise anything."""

from __future__ import annotations

import httpx
import pytest
from pydantic import BaseModel, field_validator

from tests.support.foreign_errors import Panic
from tests.support.instances import running, settings_for
from tests.support.upstash_server import UpstashServer


@pytest.mark.parametrize("error", [SystemExit(3), Panic()])
async def test_whatever_a_model_raises_is_a_problem_with_a_ref(
    upstash: UpstashServer, error: BaseException
) -> None:
    """The caller learns that it is our fault, and the process lives on."""

    class Picky(BaseModel):
        n: int

        @field_validator("n")
        @classmethod
        def check(cls, _: int) -> int:
            raise error

    async with running(settings_for(upstash)) as instance:
        instance.services.catalogue.declare("picky", Picky, topics=("public:*",))
        headers = {"Authorization": f"Bearer {instance.token()}"}
        transport = httpx.ASGITransport(instance.app)  # type: ignore[arg-type]  # ASGI's own names
        async with httpx.AsyncClient(
            transport=transport, base_url="http://localhost", headers=headers
        ) as http:
            answer = await http.post(
                "/api/events/public:x", json={"type": "picky", "data": {"n": 1}}
            )

    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert answer.json()["ref"]
