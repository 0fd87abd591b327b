"""What the terminal shows of jobs and failures."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.cli.client import in_words
from api.cli.screen import in_a_line
from api.cli.text import printable

JOB: dict[str, Any] = {
    "status": "queued",
    "done": False,
    "progress": None,
    "step": None,
    "message": None,
    "queue_position": None,
    "attempt": 0,
    "max_attempts": 3,
    "next_attempt_at": None,
    "cancel_requested": False,
}
STEP = {"key": "parse", "index": 2, "total": 4, "label": "Parse"}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "queued"),
        ({"queue_position": 3}, "queued            3 ahead"),
        (
            {"status": "running", "progress": 7, "step": STEP, "message": "9 rows"},
            "running      7 %  Parse (2/4) · 9 rows",
        ),
        (
            {"status": "running", "attempt": 2, "cancel_requested": True},
            "running           attempt 2 of 3 · cancel requested",
        ),
        (
            {"attempt": 1, "next_attempt_at": "2026-11-20T12:00:07.125Z"},
            "queued            next attempt at 12:00:07 UTC",
        ),
        ({"status": "canceled", "done": True, "cancel_requested": True}, "canceled"),
        ({"message": "a\nb\x1b[31m\x9bc"}, "queued            a b\ufffd[31m\ufffdc"),
    ],
)
def test_a_state_is_a_line(changes: dict[str, Any], line: str) -> None:
    """Its parts stand below each other; what others wrote cannot move them."""
    assert in_a_line(JOB | changes) == line


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (
            httpx.Response(404, json={"title": "Nothing here", "remediation": "Look."}),
            "Nothing here\nLook.",
        ),
        (
            httpx.Response(
                422,
                json={
                    "title": "Wrong",
                    "detail": "Really.",
                    "errors": [{"field": "a.b", "message": "no"}],
                },
            ),
            "Wrong: Really.\n  a.b: no",
        ),
    ],
)
def test_a_problem_is_told_with_what_to_do(answer: httpx.Response, text: str) -> None:
    """What, which fields, and the first thing to do."""
    assert in_words(answer) == text


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}", b'"x"'])
def test_an_answer_of_something_else_is_told_by_its_status(body: bytes) -> None:
    """As of a gateway, or of another server on that port."""
    text = in_words(httpx.Response(502, content=body))

    assert text.startswith("the server answered 502 Bad Gateway.")


def test_what_a_terminal_obeys_is_replaced() -> None:
    """Letters and new lines are not."""
    assert printable("ü\n\x1b]0;x\x07") == "ü\n\ufffd]0;x\ufffd"
