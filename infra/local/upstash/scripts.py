"""Hides Upstash's script flag `allow-key-locking` from Valkey, which would refuse it."""

from __future__ import annotations

import hashlib

from infra.local.upstash.commands import name_of
from infra.local.upstash.resp import Command, Reply

_FLAG = b"allow-key-locking"
_SCRIPT_COMMANDS = frozenset({"EVAL", "EVAL_RO", "EVALSHA", "EVALSHA_RO", "SCRIPT"})


def without_key_locking(script: bytes) -> bytes:
    """The script without the flag in its `#!lua flags=...` line. Other scripts do not change."""
    if not script.startswith(b"#!lua") or _FLAG not in script:
        return script
    shebang, newline, rest = script.partition(b"\n")
    words = [_without_flag(word) for word in shebang.split()]
    return b" ".join(word for word in words if word != b"flags=") + newline + rest


def _without_flag(word: bytes) -> bytes:
    if not word.startswith(b"flags="):
        return word
    flags = [flag for flag in word.removeprefix(b"flags=").split(b",") if flag != _FLAG]
    return b"flags=" + b",".join(flags)


class ScriptBook:
    """Remembers the digest by which the engine knows each changed script.

    A client names a script by the SHA1 of what it sent, the engine by the SHA1 of what it got.
    """

    def __init__(self) -> None:
        self._engine_sha: dict[bytes, bytes] = {}

    def rewrite(self, command: Command) -> Command:
        """The command as the engine must get it."""
        if name_of(command) not in _SCRIPT_COMMANDS:
            return command
        match [word.upper() for word in command[:2]], command[1:], command[2:]:
            case [b"EVAL" | b"EVAL_RO", _], [script, *rest], _:
                return [command[0], self._strip(script), *rest]
            case [b"EVALSHA" | b"EVALSHA_RO", _], [sha, *rest], _:
                return [command[0], self._known_as(sha), *rest]
            case [b"SCRIPT", b"LOAD"], _, scripts:
                return [*command[:2], *map(self._strip, scripts)]
            case [b"SCRIPT", b"EXISTS"], _, shas:
                return [*command[:2], *map(self._known_as, shas)]
        return command

    def restore(self, command: Command, reply: Reply) -> Reply:
        """The reply as the client must get it: `SCRIPT LOAD` names the script it was sent."""
        is_load = len(command) == 3 and name_of(command) == "SCRIPT" and isinstance(reply, bytes)  # noqa: PLR2004
        if is_load and name_of(command[1:]) == "LOAD":
            return _sha1(command[2])
        return reply

    def _strip(self, script: bytes) -> bytes:
        stripped = without_key_locking(script)
        if stripped is not script:
            self._engine_sha[_sha1(script)] = _sha1(stripped)
        return stripped

    def _known_as(self, sha: bytes) -> bytes:
        return self._engine_sha.get(sha.lower(), sha)


def _sha1(script: bytes) -> bytes:
    # Not for security: Redis names scripts so.
    return hashlib.sha1(script, usedforsecurity=False).hexdigest().encode()
