"""Which commands the REST API refuses, a read-only token may run, or run scripts. No I/O."""

from __future__ import annotations

from infra.local.upstash.resp import Command, ErrorReply, Reply

_BLOCKING = "BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF"
_SESSION = (
    "ASKING AUTH CLIENT HELLO QUIT READONLY READWRITE RESET SELECT "
    "DISCARD EXEC MULTI UNWATCH WATCH MONITOR "
    "PSUBSCRIBE PUNSUBSCRIBE SPUBLISH SSUBSCRIBE SUBSCRIBE SUNSUBSCRIBE UNSUBSCRIBE"
)
_OPERATOR = (
    "ACL BGREWRITEAOF BGSAVE CLUSTER CLUSTERSCAN COMMANDLOG CONFIG DEBUG FAILOVER LASTSAVE "
    "LATENCY MIGRATE MODULE MOVE PFDEBUG PFSELFTEST PSYNC REPLCONF REPLICAOF RESTORE-ASKING "
    "ROLE SAVE SHUTDOWN SLAVEOF SLOWLOG SWAPDB SYNC"
)
_VALKEY_ONLY = "DELIFEQ"
UNAVAILABLE = frozenset(f"{_BLOCKING} {_SESSION} {_OPERATOR} {_VALKEY_ONLY}".split())
_UNAVAILABLE_PARTS = frozenset({"SCRIPT DEBUG", "SCRIPT KILL", "SCRIPT SHOW", "FUNCTION KILL"})

SCRIPTED = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
_POWERFUL_READS = frozenset({"KEYS", "SCAN"})


def name_of(command: Command) -> str:
    """The command's name in upper case, as the meter and the faults use it."""
    return command[0].upper().decode("ascii", "replace")


def refusal(command: Command) -> str | None:
    """Why the REST API does not run this command, or None when it does."""
    name = name_of(command)
    if name in UNAVAILABLE or _part(command, name) in _UNAVAILABLE_PARTS:
        return f"ERR Command is not available: '{name}'. It cannot be used over the REST API"
    if name in {"XREAD", "XREADGROUP"} and _blocks(command):
        return f"ERR {name} with the BLOCK option is not available over the REST API"
    return None


def is_readable(command: Command, readonly_names: frozenset[str]) -> bool:
    """Whether a read-only token may run this command.

    `readonly_names` holds what the engine flags as such, subcommands as `xinfo|stream`.
    """
    name = name_of(command)
    if name in _POWERFUL_READS:
        return False
    names = {name.lower(), _part(command, name).lower().replace(" ", "|")}
    return not names.isdisjoint(readonly_names)


def readonly_names(table: Reply) -> frozenset[str]:
    """The names flagged readonly in the engine's answer to `COMMAND`."""
    names: set[str] = set()
    for entry in table if isinstance(table, list) else ():
        if not isinstance(entry, list):
            continue
        name, flags, parts = entry[0], entry[2], entry[9] if len(entry) > 9 else []  # noqa: PLR2004 - fixed places of COMMAND
        if isinstance(name, bytes) and isinstance(flags, list) and b"readonly" in flags:
            names.add(name.decode())
        names |= readonly_names(parts)
    return frozenset(names)


def denied(command: Command) -> ErrorReply:
    """The answer to a read-only token that asked for more."""
    name = name_of(command).lower()
    return ErrorReply(f"NOPERM this user has no permissions to run the '{name}' command")


def _part(command: Command, name: str) -> str:
    return f"{name} {name_of(command[1:])}" if len(command) > 1 else name


def _blocks(command: Command) -> bool:
    # Option by option: a stream, a group or a consumer may have the name "BLOCK".
    at = 1
    while at < len(command):
        option = command[at].upper()
        if option == b"BLOCK":
            return True
        if option == b"STREAMS":
            return False
        at += {b"GROUP": 3, b"COUNT": 2}.get(option, 1)
    return False
