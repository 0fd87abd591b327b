"""The commands `millrace jobs …`: start, watch, list, cancel and retry jobs."""

from collections.abc import Iterator
from typing import Any

import rich_click as click

from api.cli.client import ApiClient, told
from api.cli.options import JsonText, as_json, calls_the_api, patience, patient
from api.cli.screen import Job, in_a_line, show
from api.cli.text import line, printable
from api.cli.watch import follow

FAILED = 1


@click.group()
def jobs() -> None:
    """Start jobs, and follow them to their end."""


@jobs.command()
@click.argument("type_", metavar="TYPE")
@click.option("--input", "input_", type=JsonText(), default="{}", help="JSON, or - for stdin.")
@click.option("--idempotency-key", help="Starts the job once, however often it is sent.")
@click.option("--watch", "watched", is_flag=True, help="Follow it, as `watch` does.")
@as_json
@patient
@calls_the_api
def start(
    client: ApiClient,
    *,
    type_: str,
    input_: Any,
    idempotency_key: str | None,
    watched: bool,
    as_json: bool,
    patience_s: float,
) -> None:
    """Start a job of TYPE and print its id."""
    headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
    body = {"type": type_, "input": input_}
    job: Job = client.call("POST", "/api/jobs", body=body, headers=headers).json()
    if watched:
        _watch(client, job["id"], as_json=as_json, patience_s=patience_s)
    _print(job, as_json=as_json, text=job["id"])


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json
@patient
@calls_the_api
def watch(client: ApiClient, *, job_id: str, as_json: bool, patience_s: float) -> None:
    """Follow a job, and print its result.

    The exit status is 0 if the job succeeded, otherwise 1. Only the result goes to stdout, so it
    can be redirected; with --json each state of the job is printed there instead.
    """
    _watch(client, job_id, as_json=as_json, patience_s=patience_s)


@jobs.command("list")
@click.option("--status", help="Only of this status.")
@click.option("--type", "type_", help="Only of this type.")
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@as_json
@calls_the_api
def list_(
    client: ApiClient, *, status: str | None, type_: str | None, limit: int, as_json: bool
) -> None:
    """List your newest jobs."""
    params = {"status": status, "type": type_, "limit": limit}
    for job in client.call("GET", "/api/jobs", params=params).json()["data"]:
        text = f"{job['id']}  {job['created_at']}  {job['type']:12}  {in_a_line(job)}"
        _print(job, as_json=as_json, text=text)


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json
@calls_the_api
def cancel(client: ApiClient, *, job_id: str, as_json: bool) -> None:
    """Ask a job to stop. One that is done stays as it is."""
    job = client.call("POST", f"/api/jobs/{job_id}/cancel").json()
    _print(job, as_json=as_json, text=in_a_line(job))


@jobs.command()
@click.argument("job_id", metavar="ID")
@as_json
@calls_the_api
def retry(client: ApiClient, *, job_id: str, as_json: bool) -> None:
    """Queue a job again that has failed, expired or been canceled."""
    job = client.call("POST", f"/api/jobs/{job_id}/retry").json()
    _print(job, as_json=as_json, text=in_a_line(job))


def _watch(client: ApiClient, job_id: str, *, as_json: bool, patience_s: float) -> None:
    """Follow the job to its end, then exit with the status that says how it ended."""
    states = follow(client, job_id, patience(patience_s))
    job = _lines(states) if as_json else show(states)
    if job["status"] != "succeeded":
        if job["error"] and not as_json:
            click.echo(printable(told(job["error"])), err=True)
        raise SystemExit(FAILED)
    if not as_json:
        line(_result(client, job))
    raise SystemExit(0)


def _lines(states: Iterator[Job]) -> Job:
    job: Job = {}
    for job in states:
        line(job)
    return job


def _result(client: ApiClient, job: Job) -> Any:
    """Return the result of a job; one that is not in its JSON is fetched from `result_url`."""
    if job["result_url"]:
        return client.call("GET", job["result_url"]).json()
    return job["result"]


def _print(job: Job, *, as_json: bool, text: str) -> None:
    line(job) if as_json else click.echo(text)
