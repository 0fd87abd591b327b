"""The vendor's JavaScript client, unmodified, works against the local server."""

from __future__ import annotations

import pytest

from tests.integration.local_ably.scripts import needs_node, run_node
from tests.support.ably_server import AblyServer

pytestmark = needs_node


@pytest.mark.parametrize("form", ["msgpack", "json"])
async def test_messages_history_presence_and_refusals(ably: AblyServer, form: str) -> None:
    """A member may do all of it; a reader gets 40160 and stays connected."""
    results = await run_node(ably, "ably-messages.mjs", form)

    assert results == {
        "modes": ["subscribe", "presence_subscribe"],
        "heard": [
            ["text", "grüße 😀", "alice"],
            ["object", {"a": [1, "2", None]}, "alice"],
            ["bytes", [0, 255], "alice"],
            ["none", None, "alice"],
            ["rest", [1], None],
        ],
        "serialsGrow": True,
        "pages": [["rest", "none", "bytes"], ["object", "text"], False],
        "forwards": [["text", "grüße 😀", "alice"]],
        "rewound": ["bytes", "none", "rest"],
        "present": [["alice", "busy"]],
        "presentOverRest": ["alice"],
        "presence": [
            ["enter", "alice", "here"],
            ["update", "alice", "busy"],
            ["leave", "alice", None],
        ],
        "readerPublishes": 40160,
        "readerEnters": 40160,
        "foreignAttach": 40160,
        "connectionAfter": "connected",
        "otherIdentity": 40012,
        "ping": True,
    }


@pytest.mark.parametrize("form", ["msgpack", "json"])
async def test_a_cut_connection_resumes_without_a_gap_and_without_a_double(
    ably: AblyServer, form: str
) -> None:
    """Its own publishes while it was cut are among them, and nobody saw it leave."""
    results = await run_node(ably, "ably-resume.mjs", form)

    heard = results.pop("heard")
    assert sorted(heard) == ["1", "2", "3", "4", "5", "6", "own 1", "own 2"]
    assert [one for one in heard if one.isdigit()] == ["1", "2", "3", "4", "5", "6"]
    assert results == {
        "resumed": True,
        "sameConnection": True,
        "presence": [["enter", "alice"]],
        "present": ["alice"],
    }


async def test_a_refusal_is_final_and_the_known_channel_params_are_confirmed(
    ably: AblyServer,
) -> None:
    """An unknown app or key costs one call of the callback, not a loop of the SDK's."""
    results = await run_node(ably, "ably-refusals.mjs")

    assert results == {
        "unknownApp": {"overRest": [[404, 40400], 1], "overRealtime": ["failed", 40400, 1]},
        "unknownKey": {"overRest": [[401, 40400], 1], "overRealtime": ["failed", 40400, 1]},
        "basic": [401, 40400],
        "capabilities": [[400, 40000]] * 4,
        "params": {
            "appendMode": "full",
            "delta": "vcdiff",
            "echo": "false",
            "modes": "subscribe",
            "occupancy": "metrics",
            "rewind": "1",
        },
        "modes": ["subscribe"],
        "objectModes": ["object_subscribe"],
        "rewind": 40003,
        "name": 40010,
        "update": 93002,
        "annotate": 93002,
        "present": [["present", "fixed", "x"]],
        "history": [["enter", "fixed", "x"]],
        "recovered": 80018,
    }


async def test_tokens_are_renewed_or_refused_with_the_code_that_says_why(
    ably: AblyServer,
) -> None:
    """A renewed connection stays the same. A forged or used request opens none."""
    results = await run_node(ably, "ably-tokens.mjs")

    assert results == {
        "prompted": ["connected", "connected"],
        "renewed": True,
        "expired": 40142,
        "forcedExpiry": [40142, True],
        "revoked": [40141, True],
        "upgraded": [40160, "attached"],
        "otherClient": 40102,
        "afterOtherClient": "failed",
        "replayed": 40105,
        "tampered": 40101,
        "jwt": "jo",
    }
