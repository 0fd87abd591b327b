"""Bytes to values and back, and messages in between."""

from __future__ import annotations

import json
from typing import Any

import msgpack
import pytest

from infra.local.ably.messages import accepted, publishable
from infra.local.ably.protocol import AblyError, Format, decode, encode


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (None, Format.JSON),
        ("application/json", Format.JSON),
        ("msgpack", Format.MSGPACK),
        ("application/x-msgpack;q=1", Format.MSGPACK),
    ],
)
def test_the_format_is_json_unless_msgpack_is_named(text: str | None, form: Format) -> None:
    assert Format.of(text) is form


def test_binary_data_is_base64_in_json_wherever_it_stands() -> None:
    """It follows the encodings that were there. The value itself does not change."""
    frame: dict[str, Any] = {
        "messages": [{"data": b"\x00", "encoding": "utf-8/cipher+aes-128-cbc"}, {"data": "x"}]
    }

    shown = json.loads(encode(frame, Format.JSON))

    assert shown["messages"] == [
        {"data": "AA==", "encoding": "utf-8/cipher+aes-128-cbc/base64"},
        {"data": "x"},
    ]
    assert frame["messages"][0]["data"] == b"\x00"
    assert msgpack.unpackb(encode(frame, Format.MSGPACK)) == frame


@pytest.mark.parametrize("form", Format)
@pytest.mark.parametrize("raw", [b"\xc1", b"", b"\x92\x01", b'{"a":1', b"\xd9\x01\xff"])
def test_what_cannot_be_read_is_40000(form: Format, raw: bytes) -> None:
    with pytest.raises(AblyError) as raised:
        decode(raw, form)

    assert raised.value.code == 40000


def test_strings_of_the_old_msgpack_are_text() -> None:
    """ably-python packs its text as raw and its bytes as bin."""
    old = msgpack.packb({"name": "a"}, use_bin_type=False)

    assert decode(old, Format.MSGPACK) == {"name": "a"}


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        ({"data": "AP8=", "encoding": "base64"}, {"data": b"\x00\xff"}),
        (
            {"data": "AP8=", "encoding": "json/cipher+aes/base64"},
            {"data": b"\x00\xff", "encoding": "json/cipher+aes"},
        ),
        ({"data": {"a": [1]}}, {"data": '{"a":[1]}', "encoding": "json"}),
        ({"data": 1}, {"data": "1", "encoding": "json"}),
        ({"data": '{"a":1}', "encoding": "json"}, {"data": '{"a":1}', "encoding": "json"}),
        ({"name": "a", "data": None, "size": 1, "serial": "x"}, {"name": "a"}),
    ],
)
def test_a_message_is_kept_as_bytes_or_text(raw: object, message: object) -> None:
    """Base64 is decoded, and fields that clients may not set are dropped."""
    assert accepted(raw) == [message]


def test_data_that_claims_to_be_base64_and_is_not_is_40000() -> None:
    with pytest.raises(AblyError) as raised:
        accepted({"data": "?", "encoding": "base64"})

    assert raised.value.code == 40000


def test_the_size_of_messages_is_counted_together() -> None:
    """Name, clientId, data and extras may have 64 KiB; one byte more is 40009."""
    half = {"name": "n", "data": "ä" * 16_383 + "x"}

    assert len(accepted([half, half])) == 2
    with pytest.raises(AblyError) as raised:
        accepted([half, half, {"name": "x"}])
    assert raised.value.code == 40009


@pytest.mark.parametrize(
    "ids", [["x"], ["x:0", "x:1"], ["a:b:0", "a:b:1", "a:b:2"], [None, None]], ids=str
)
def test_ids_of_messages_sent_together_are_a_series(ids: list[str | None]) -> None:
    assert len(publishable([{"id": one} for one in ids])) == len(ids)


@pytest.mark.parametrize(
    "ids", [[""], ["x", "y"], ["x:0", "y:1"], ["x:1", "x:2"], ["x:0", None], [":0", ":1"]], ids=str
)
def test_ids_that_are_no_series_are_40031(ids: list[str | None]) -> None:
    """By such ids a repeat of all together could not be recognised."""
    with pytest.raises(AblyError) as raised:
        publishable([{"id": one} for one in ids])

    assert raised.value.code == 40031


@pytest.mark.parametrize("extras", ["text", [1], 1], ids=str)
def test_extras_that_are_no_object_are_40000(extras: object) -> None:
    with pytest.raises(AblyError) as raised:
        accepted({"name": "a", "extras": extras})

    assert raised.value.code == 40000


@pytest.mark.parametrize("action", [1, 2, "message.update"])
def test_a_message_that_changes_another_is_93002(action: object) -> None:
    """It would count as a new message; 0 is their action."""
    assert publishable({"name": "a", "action": 0})
    with pytest.raises(AblyError) as raised:
        publishable({"name": "a", "action": action})

    assert raised.value.code == 93002
