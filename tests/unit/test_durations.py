"""Which clock measures what."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WALL = {"clock", "_clock", "_now", "read_s", "_read_s", "now_ms", "_now_ms"}
WALL_CALLS = {"time.time", "time.time_ns", "datetime.now", "datetime.utcnow"}
NAMES = {"now", "at", "now_ms", "began", "started"}  # what such a reading is kept in

# Where a reading of the wall clock is compared with a time that came from outside this process
# (an event's id, a token, a job, Ably, Lambda), which no other clock can do ...
OUTSIDE = {
    "api/chat/tokens/service.py:_ttl_ms": "tokens say when they end",
    "api/chat/webhook/receiver.py:_is_fresh": "Ably says when it sent a message",
    "api/clock/clock.py:_tick": "a tick falls on a full second of the day",
    "api/events/stream/session.py:_timers": "tokens say when they end",
    "api/jobs/model/view.py:poll_after_ms": "another process noted when the job was queued",
    "api/jobs/work/redis_queue.py:_move_due": "another process noted when the job is due",
    "api/jobs/work/runner.py:_after": "another process noted when the job is due",
    "api/jobs/callers/service.py:_is_gone": "another process noted when the job is over",
    "api/jobs/store/store.py:is_late": "another process noted the job's lease",
    "api/jobs/work/sweep.py:run": "another process noted when the job was stored",
    "api/notifications/state.py:oldest": "ids of events are times",
    "functions/runtime/invocation.py:left_s": "Lambda says when the invocation ends",
    "infra/local/ably/clock.py:stamp": "serials hold the time of day",
    "infra/local/ably/keys_and_tokens/tokens.py:check": "tokens say when they were made",
    "infra/local/ably/webhooks.py:batch": "tests shift this time",
}
# ... or where time has to go on while a Lambda function is frozen, which the monotonic clock
# need not do.
FROZEN = {
    "api/upstash/transport.py:_connection": "the other end closes idle connections meanwhile",
    "api/security/jwks.py:_age_s": "keys are revoked meanwhile",
    "api/security/leases.py:_ask": "leases end in Redis meanwhile",
    "api/security/leases.py:renew": "leases end in Redis meanwhile",
}


def sources() -> list[Path]:
    return sorted(p for top in ("api", "functions", "infra") for p in (ROOT / top).rglob("*.py"))


def reads_wall(node: ast.AST, kept: set[str]) -> bool:
    """Whether a reading of the wall clock is an operand somewhere in `node`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Call):
            called = ast.unparse(part.func)
            if called in WALL_CALLS or called.rpartition(".")[2] in WALL:
                return True
        if isinstance(part, ast.Name) and part.id in kept:
            return True
    return False


def measured(tree: ast.AST) -> Iterator[str]:
    """The functions that subtract or compare a reading of the wall clock."""
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        kept = {
            target.id
            for one in ast.walk(scope)
            if isinstance(one, ast.Assign) and reads_wall(one.value, set())
            for target in ast.walk(one.targets[0])
            if isinstance(target, ast.Name) and target.id in NAMES
        }
        for one in ast.walk(scope):
            is_difference = isinstance(one, ast.BinOp) and isinstance(one.op, ast.Sub)
            if (is_difference or isinstance(one, ast.Compare)) and reads_wall(one, kept):
                yield scope.name


def test_no_duration_is_measured_by_the_wall_clock() -> None:
    """It may be set back; a pause or an age would then last for as long as it was set.

    A name among the exceptions that has become wrong would let a new fault pass.
    """
    found = {
        f"{path.relative_to(ROOT).as_posix()}:{function}"
        for path in sources()
        for function in measured(ast.parse(path.read_text()))
    }

    assert found == OUTSIDE.keys() | FROZEN.keys()


@pytest.mark.parametrize(
    "text",
    [
        "began = self._clock()\n  gap = began + 1 - self._clock()",
        "if time.time() > self.ends_at: pass",
        "now = clock()\n  if now < until: pass",
        "age = datetime.now(UTC) - since",
    ],
)
def test_the_rule_sees_the_ways_to_break_it(text: str) -> None:
    """In whatever form the difference is taken."""
    assert any(measured(ast.parse(f"def f(self):\n  {text}")))
