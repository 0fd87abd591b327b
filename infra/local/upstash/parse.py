"""Reads commands from request bodies and paths. No I/O, no state."""

from __future__ import annotations

import json
from typing import Never
from urllib.parse import unquote_plus, unquote_to_bytes

import msgspec

from infra.local.upstash.resp import Command

_SINGLE = "ERR failed to parse command"
_BATCH = "ERR failed to parse pipeline request"


class ParseError(Exception):
    """The request holds no command. The text is the answer of the service, with status 400."""


def _refuse_constant(literal: str) -> Never:
    raise ValueError(f"{literal} is not JSON")


# So `1.0`, `1e3` and integers of more than 64 bits reach Redis as they were written.
_json_decoder = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=_refuse_constant)
_strings_decoder = msgspec.json.Decoder(list[str])
_batch_decoder = msgspec.json.Decoder(list[list[str]])


def parse_command(body: bytes) -> Command:
    """Read `["SET", "k", 1.0]`. Raises ParseError for anything that is not a flat array."""
    try:
        values: object = _strings_decoder.decode(body)
    except msgspec.MsgspecError:
        values = _load(body, _SINGLE)
    return _command(values, _SINGLE)


def parse_batch(body: bytes) -> list[Command]:
    """Read an array of commands. Raises ParseError when it, or one of its commands, is empty."""
    try:
        rows: object = _batch_decoder.decode(body)
    except msgspec.MsgspecError:
        rows = _load(body, _BATCH)
    if not isinstance(rows, list):
        raise ParseError(_BATCH)
    if not rows:
        raise ParseError("ERR empty pipeline request")
    return [_command(row, _BATCH) for row in rows]


def parse_path(raw_path: bytes, query: bytes, body: bytes) -> Command:
    """Read `/set/foo` + body + `?EX=100` as `SET foo <body> EX 100`; `_token` is no argument."""
    segments = raw_path.strip(b"/").split(b"/")
    command = [unquote_to_bytes(segment) for segment in segments]
    if body:
        command.append(body)
    for pair in query.split(b"&") if query else ():
        name, _, value = pair.partition(b"=")
        if name != b"_token":
            command += [_unquote_query(part) for part in (name, value) if part]
    if not command[0]:
        raise ParseError("ERR empty command")
    return command


def _unquote_query(part: bytes) -> bytes:
    return unquote_plus(part.decode("latin-1"), "latin-1").encode("latin-1")


def _load(body: bytes, complaint: str) -> object:
    try:
        values: object = _json_decoder.decode(body.decode())
    except (ValueError, RecursionError):
        raise ParseError(complaint) from None
    return values


def _command(values: object, complaint: str) -> Command:
    if not isinstance(values, list):
        raise ParseError(complaint)
    command = [_argument(value, complaint) for value in values]
    if not command or not command[0]:
        raise ParseError("ERR empty command")
    return command


def _argument(value: object, complaint: str) -> bytes:
    if isinstance(value, str):
        try:
            return value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair, written as an escape
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()
    if value is None:
        return b"null"
    if isinstance(value, bool):
        return b"true" if value else b"false"
    raise ParseError(complaint)
