"""Makes response bodies of replies: JSON, JSON with base64 strings, or RESP2. No I/O."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from infra.local.upstash.resp import ErrorReply, Reply, Status, encode_reply

_OK = Status(b"OK")


class Format(StrEnum):
    JSON = "json"
    BASE64 = "base64"
    RESP2 = "resp2"


class FormatError(Exception):
    """The two format headers do not fit together. The text is the answer, with status 400."""


def choose_format(encoding: bytes, response_format: bytes, *, has_resp2: bool) -> Format:
    """The format that the headers `Upstash-Encoding` and `Upstash-Response-Format` ask for.

    `has_resp2` is false for transactions, which exist in JSON only. Raises FormatError.
    """
    if response_format not in (b"", b"json", b"resp2"):
        raise FormatError("ERR unsupported Upstash-Response-Format, use json or resp2")
    if response_format == b"resp2":
        if encoding == b"base64":
            raise FormatError("ERR Upstash-Encoding base64 is not permitted with resp2")
        if not has_resp2:
            raise FormatError("ERR Upstash-Response-Format resp2 is not applicable to multi-exec")
        return Format.RESP2
    return Format.BASE64 if encoding == b"base64" else Format.JSON


def encode_single(reply: Reply, form: Format) -> bytes:
    """The body of an answer to one command."""
    if form is Format.RESP2:
        return encode_reply(reply)
    return msgspec.json.encode(_envelope(reply, form), enc_hook=_encode_own)


def encode_batch(replies: list[Reply], form: Format) -> bytes:
    """The body of an answer to a pipeline or a transaction."""
    if form is Format.RESP2:
        return encode_reply(replies)
    return msgspec.json.encode([_envelope(r, form) for r in replies], enc_hook=_encode_own)


def encode_error(text: str) -> bytes:
    """The body of a refusal."""
    return msgspec.json.encode({"error": str(text)})


def _envelope(reply: Reply, form: Format) -> dict[str, object]:
    if isinstance(reply, ErrorReply):
        return {"error": str(reply)}
    # msgspec writes `bytes` as base64 itself, so only the other form changes the reply.
    return {"result": reply if form is Format.BASE64 else _text(reply)}


def _text(reply: Reply) -> object:
    if isinstance(reply, bytes):
        return reply.decode("utf-8", "replace")
    if isinstance(reply, list):
        return [_text(item) for item in reply]
    if isinstance(reply, ErrorReply):
        return str(reply)
    return reply


def _encode_own(value: object) -> object:
    if isinstance(value, Status):
        return "OK" if value == _OK else bytes(value)
    if isinstance(value, ErrorReply):
        return str(value)
    raise NotImplementedError(type(value))
