"""Follows one job until it is done."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx

from api.cli.client import ApiClient
from api.cli.patience import Patience

WAIT_S = 20

Job = dict[str, Any]


def follow(
    client: ApiClient,
    job_id: str,
    patience: Patience,
    *,
    monotonic: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Job]:
    """Yield each state of the job that the server shows; the last one is done.

    A server that is away for a while only delays this, because each request names the version that
    the client has. Raises `Away` when `patience` ends, and `Failed`.
    """
    path = f"/api/jobs/{job_id}"
    job: Job = patience.ask(partial(client.call, "GET", path)).json()
    hint_s = job["poll_after_ms"] / 1000
    yield job
    while not job["done"]:
        asked_at = monotonic()
        answer = patience.ask(partial(_after, client, path, job["version"]))
        hint_s = _hint_s(answer, hint_s)
        if answer.status_code == httpx.codes.NOT_MODIFIED:
            # A server that does not hold requests must not be asked without a pause.
            sleep(max(0.0, asked_at + hint_s - monotonic()))
            continue
        job = answer.json()
        yield job


def _after(client: ApiClient, path: str, version: int) -> httpx.Response:
    params = {"wait": WAIT_S, "after": version}
    return client.call("GET", path, params=params, wait_s=WAIT_S)


def _hint_s(answer: httpx.Response, before: float) -> float:
    text = answer.headers.get("x-poll-after-ms", "")
    return int(text) / 1000 if text.isdigit() else before
