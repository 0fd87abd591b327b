"""Shows a job's state on the terminal: a progress bar there, a line for each change in a file."""

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import rich_click as click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from api.cli.text import printable

Job = dict[str, Any]

COLORS = {"succeeded": "green", "failed": "red", "canceled": "yellow", "expired": "yellow"}


def show(jobs: Iterable[Job]) -> Job:
    """Draw each of `jobs`, which are states of one job, on stderr. Return the last one."""
    console = Console(stderr=True)
    last: Job = {}
    bar = _bar(console) if console.is_terminal else None
    shown: AbstractContextManager[object] = bar or nullcontext()
    with shown:
        drawing = bar.add_task("", total=100) if bar else None
        for last in jobs:
            if bar and drawing is not None:
                text = f"[{_color(last)}]{last['status']:9}[/]  {escape(doing(last))}"
                bar.update(drawing, description=text, completed=_percent(last))
            else:
                click.echo(in_a_line(last), err=True)
    return last


def in_a_line(job: Job) -> str:
    """Format a job's status, progress, step and message as one line."""
    percent = "" if job["progress"] is None else f"{job['progress']:3d} %"
    return f"{job['status']:9}  {percent:5}  {doing(job)}".rstrip()


def doing(job: Job) -> str:
    """Describe what the job is doing: its attempt, place in the queue, step and message."""
    step = job["step"]
    parts = [
        f"attempt {job['attempt']} of {job['max_attempts']}" if job["attempt"] > 1 else "",
        f"{job['queue_position']} ahead" if job["queue_position"] else "",
        f"next attempt at {job['next_attempt_at'][11:19]} UTC" if job["next_attempt_at"] else "",
        f"{step['label']} ({step['index']}/{step['total']})" if step else "",
        "cancel requested" if job["cancel_requested"] and not job["done"] else "",
        job["message"] or "",
    ]
    return " · ".join(printable(part).replace("\n", " ") for part in parts if part)


def _bar(console: Console) -> Progress:
    columns = (
        SpinnerColumn(),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, console=console)


def _color(job: Job) -> str:
    return COLORS.get(job["status"], "cyan")


def _percent(job: Job) -> int:
    return 100 if job["status"] == "succeeded" else job["progress"] or 0
