"""What the engine pushes becomes lines that the vendor's client reads."""

from __future__ import annotations

import pytest

from infra.local.upstash.pubsub import Subscription, event
from infra.local.upstash.resp import Reply, Status


@pytest.mark.parametrize(
    ("push", "chunk"),
    [
        ([b"subscribe", b"ch", 1], b"data: subscribe,ch,1\n\n"),
        ([b"message", b"ch", b"a,b"], b"data: message,ch,a,b\n\n"),
        ([b"pmessage", b"c*", b"ch", b"x"], b"data: pmessage,c*,ch,x\n\n"),
        (
            [b"message", b"ch", b"one\r\ntwo\nthree"],
            b"data: message,ch,one\ndata: two\ndata: three\n\n",
        ),
        ([b"message", b"ch", b"\xff"], "data: message,ch,\ufffd\n\n".encode()),
        (Status(b"OK"), b'data: "OK"\n\n'),
        (Status(b'1.5 [0 unix:/t/s] "GET" "k"'), b'data: 1.5 [0 0.0.0.0:0] "GET" "k"\n\n'),
        (Status(b'1.5 [0 127.0.0.1:9] "GET" "k"'), b'data: 1.5 [0 127.0.0.1:9] "GET" "k"\n\n'),
        (Status(b'1.5 [0 lua] "GET" "k"'), b'data: 1.5 [0 lua] "GET" "k"\n\n'),
        (Status(b'1.5 [0 unix:/t/s] "MULTI"'), None),
        (Status(b'1.5 [0 unix:/t/s] "INFO" "commandstats"'), None),
        (
            Status(b'1.5 [0 unix:/t/s] "SET" "k" "] \\"MULTI\\""'),
            b'data: 1.5 [0 0.0.0.0:0] "SET" "k" "] \\"MULTI\\""\n\n',
        ),
        (7, None),
    ],
)
def test_a_push_becomes_one_event(push: Reply, chunk: bytes | None) -> None:
    """A payload cannot begin another event, and commands that measure are not shown."""
    assert event(push) == chunk


@pytest.mark.parametrize(
    ("path", "command"),
    [
        (b"/subscribe/room:1", [b"SUBSCRIBE", b"room:1"]),
        (b"/subscribe/room%3A1", [b"SUBSCRIBE", b"room:1"]),
        (b"/subscribe/a/b", [b"SUBSCRIBE", b"a/b"]),
        (b"/psubscribe/room:*", [b"PSUBSCRIBE", b"room:*"]),
        (b"/monitor", [b"MONITOR"]),
    ],
)
def test_the_path_names_one_channel(path: bytes, command: list[bytes]) -> None:
    """The name may be encoded or not."""
    subscription = Subscription.of_path(path)

    assert subscription is not None
    assert subscription.command == command


@pytest.mark.parametrize("path", [b"/subscribe", b"/subscribe/", b"/monitor/x", b"/get/subscribe"])
def test_other_paths_are_commands(path: bytes) -> None:
    """They are commands, which run or are refused."""
    assert Subscription.of_path(path) is None
