"""The vendor's Python client, unmodified, works against the local server."""

from __future__ import annotations

import pytest

from tests.integration.local_ably.scripts import run_python
from tests.support.ably_server import AblyServer
from tests.support.ably_tokens import signed_jwt


@pytest.mark.parametrize("form", ["msgpack", "json"])
async def test_rest_and_realtime(ably: AblyServer, form: str) -> None:
    """Pages, a batch, messages of all kinds, presence, and refusals by capability."""
    results = await run_python(ably, "messages.py", form)

    assert results == {
        "pages": [["c", "b"], [{"n": "a"}]],
        "batch": 2,
        "status": "room:rest",
        "time": True,
        "heard": [
            ["text", "grüße 😀", "alice"],
            ["object", {"a": [1, None]}, "alice"],
            ["bytes", [0, 255], "alice"],
        ],
        "present": [["alice", "here"]],
        "presence": [[2, "alice"], [3, "alice"]],
        "readerPublishes": 40160,
        "foreignAttach": 40160,
        "connectionAfter": "connected",
    }


async def test_a_cut_connection_resumes_without_a_gap_and_without_a_double(
    ably: AblyServer,
) -> None:
    """Its later publishes do not count as repeats."""
    results = await run_python(ably, "resume.py")

    assert results == {"heard": ["1", "2", "3", "4", "5"], "sameConnection": True}


async def test_a_refusal_is_final_and_the_known_channel_params_are_confirmed(
    ably: AblyServer,
) -> None:
    """Each of two clients, over REST and Realtime, calls the callback once."""
    app_id = ably.key.partition(".")[0]
    jwts = [signed_jwt(f"{name}:secret") for name in ("none.key", f"{app_id}.none")]

    results = await run_python(ably, "refusals.py", *jwts)

    assert results == {
        "jwts": [[[404, 40400], "failed", 40400, 2], [[401, 40400], "failed", 40400, 2]],
        "capabilities": [[400, 40000]] * 3,
        "connectionKey": [400, 40006],
        "ids": [400, 40031],
        "params": {"delta": "vcdiff", "modes": "subscribe"},
        "resumed": 80018,
    }
