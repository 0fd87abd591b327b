"""Bytes to values and back, as JSON or msgpack. Binary data is `bytes` inside."""

from __future__ import annotations

import base64
import json
from enum import StrEnum
from typing import Any

import msgpack

from infra.local.ably.errors import bad_request


class Format(StrEnum):
    JSON = "json"
    MSGPACK = "msgpack"

    @property
    def media_type(self) -> str:
        # ably-js compares the header of failures literally: no charset behind it.
        return "application/json" if self is Format.JSON else "application/x-msgpack"

    @classmethod
    def of(cls, text: str | None) -> Format:
        """Of a media type or a `format` parameter; JSON unless it says msgpack."""
        return cls.MSGPACK if "msgpack" in (text or "") else cls.JSON


def decode(raw: bytes | str, form: Format) -> Any:
    """Raises AblyError 40000."""
    try:
        if form is Format.JSON:
            return json.loads(raw)
        # ably-python mixes raw and bin types: both strings are text, bin is bytes.
        return msgpack.unpackb(raw, raw=False, strict_map_key=False)
    except Exception:  # noqa: BLE001 - the unpacker raises a dozen types for bad input
        raise bad_request(f"the body is not valid {form}") from None


def encode(value: Any, form: Format) -> bytes:
    if form is Format.MSGPACK:
        packed: bytes = msgpack.packb(value, use_bin_type=True, unicode_errors="replace")
        return packed
    text = json.dumps(_textual(value), separators=(",", ":"), ensure_ascii=False)
    # JSON can carry half a surrogate pair, UTF-8 cannot.
    return text.encode(errors="replace")


def _textual(value: Any) -> Any:
    if isinstance(value, list):
        return [_textual(one) for one in value]
    if not isinstance(value, dict):
        return value
    plain = {name: _textual(one) for name, one in value.items()}
    if isinstance(data := value.get("data"), bytes):
        plain["data"] = base64.b64encode(data).decode()
        plain["encoding"] = "/".join(filter(None, [value.get("encoding"), "base64"]))
    return plain
