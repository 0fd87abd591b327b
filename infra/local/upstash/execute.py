"""Runs commands, pipelines and transactions; refuses what is not allowed; feeds the meter."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from infra.local.upstash import commands as rules
from infra.local.upstash.auth import Access
from infra.local.upstash.engine import Engine
from infra.local.upstash.meter import STATS, Meter, bill_between
from infra.local.upstash.resp import Command, ErrorReply, Reply
from infra.local.upstash.scripts import ScriptBook

_MULTI: Command = [b"MULTI"]
_EXEC: Command = [b"EXEC"]
_DISCARDED = "EXECABORT Transaction discarded because of: "


@dataclass(frozen=True, slots=True)
class _Step:
    """One requested command: the commands that are sent for it, or its refusal."""

    command: Command
    wire: list[Command]
    refused: ErrorReply | None = None


class Executor:
    """Runs commands as the REST API does."""

    def __init__(self, engine: Engine, meter: Meter, readonly_names: frozenset[str]) -> None:
        self._engine = engine
        self._meter = meter
        self._readonly_names = readonly_names
        self._scripts = ScriptBook()

    async def run(self, commands: list[Command], access: Access) -> list[Reply]:
        """One reply for each command, in order. A refused command does not stop the others."""
        steps = [self._step(command, access) for command in commands]
        wire = [command for step in steps for command in step.wire]
        arrived = iter(await self._engine.exchange(wire) if wire else [])
        return [self._reply_of(step, [next(arrived) for _ in step.wire]) for step in steps]

    async def transact(self, commands: list[Command], access: Access) -> list[Reply] | ErrorReply:
        """The replies of one transaction, or one error when the whole of it was discarded."""
        for command in commands:
            refused = self._refuse(command, access)
            if refused is not None:
                return ErrorReply(_DISCARDED + refused)
        has_script = any(rules.name_of(command) in rules.SCRIPTED for command in commands)
        body = [self._scripts.rewrite(command) for command in commands]
        if has_script:
            body = [STATS, *body, STATS]
        replies = await self._engine.exchange([_MULTI, *body, _EXEC])
        outcome = replies[-1]
        if not isinstance(outcome, list):
            return _discard(replies)
        if has_script:
            self._meter.add_all(bill_between(outcome[0], outcome[-1]))
            outcome = outcome[1:-1]
        else:
            self._meter.add_all(Counter(map(rules.name_of, commands)))
        pairs = zip(commands, outcome, strict=True)
        return [self._scripts.restore(command, reply) for command, reply in pairs]

    def _refuse(self, command: Command, access: Access) -> ErrorReply | None:
        complaint = rules.refusal(command)
        if complaint is not None:
            return ErrorReply(complaint)
        if access is Access.FULL or rules.is_readable(command, self._readonly_names):
            return None
        return rules.denied(command)

    def _step(self, command: Command, access: Access) -> _Step:
        refused = self._refuse(command, access)
        if refused is not None:
            return _Step(command, [], refused)
        sent = self._scripts.rewrite(command)
        if rules.name_of(command) in rules.SCRIPTED:
            return _Step(command, [_MULTI, STATS, sent, STATS, _EXEC])
        return _Step(command, [sent])

    def _reply_of(self, step: _Step, replies: list[Reply]) -> Reply:
        if step.refused is not None:
            return step.refused
        if len(replies) == 1:
            self._meter.add(rules.name_of(step.command))
            return self._scripts.restore(step.command, replies[0])
        queued, outcome = replies[2], replies[-1]
        if not isinstance(outcome, list):
            # The engine did not queue a malformed command, and this reply says why.
            return queued if isinstance(queued, ErrorReply) else outcome
        before, reply, after = outcome
        self._meter.add_all(bill_between(before, after))
        return reply


def _discard(replies: list[Reply]) -> ErrorReply:
    causes = [reply for reply in replies[:-1] if isinstance(reply, ErrorReply)]
    if causes:
        return ErrorReply(_DISCARDED + causes[0])
    last = replies[-1]
    return last if isinstance(last, ErrorReply) else ErrorReply("EXECABORT Transaction discarded")
