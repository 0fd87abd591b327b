"""Following a job asks for what is newer, and never in circles."""

from __future__ import annotations

from typing import Any

import httpx

from api.cli.client import ApiClient, Away
from api.cli.patience import Patience
from api.cli.watch import follow

HINT = {"X-Poll-After-Ms": "400"}


def state(version: int, *, done: bool = False) -> httpx.Response:
    job = {"version": version, "done": done, "poll_after_ms": 0 if done else 500}
    return httpx.Response(200, json=job, headers=HINT)


class Server(ApiClient):
    """Gives these answers, each after so many seconds; notes what was asked and when."""

    def __init__(self, *answers: tuple[float, httpx.Response | Away]) -> None:
        super().__init__("http://127.0.0.1:9", "token", user="nobody")
        self.now = 0.0
        self.asked: list[tuple[float, Any]] = []
        self._answers = list(answers)

    def call(self, method: str, path: str, **request: Any) -> httpx.Response:
        self.asked.append((self.now, (request.get("params") or {}).get("after")))
        took_s, answer = self._answers.pop(0)
        self.now += took_s
        if isinstance(answer, Away):
            raise answer
        return answer

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def versions(self) -> list[int]:
        patience = Patience(60, say=lambda _: None, monotonic=lambda: self.now, sleep=self.sleep)
        states = follow(self, "job_1", patience, monotonic=lambda: self.now, sleep=self.sleep)
        return [job["version"] for job in states]


def test_each_change_is_asked_for_at_once() -> None:
    """The server holds the request until there is one."""
    server = Server(
        (0, state(1)), (3, state(2)), (20, httpx.Response(304)), (1, state(5, done=True))
    )

    assert server.versions() == [1, 2, 5]
    assert server.asked == [(0, None), (0, 1), (3, 2), (23, 2)]


def test_a_server_that_does_not_hold_requests_is_asked_at_its_hint() -> None:
    """Not as fast as it can answer."""
    server = Server(
        (0, state(1)),
        (0, httpx.Response(304, headers=HINT)),
        (0.1, httpx.Response(304)),
        (0, state(2, done=True)),
    )

    assert server.versions() == [1, 2]
    assert [round(at, 3) for at, _ in server.asked] == [0, 0, 0.4, 0.8]


def test_an_absence_is_waited_for_and_nothing_is_asked_again() -> None:
    """The same question, by version."""
    server = Server((0, state(7)), (0, Away("")), (0, Away("")), (0, state(9, done=True)))

    assert server.versions() == [7, 9]
    assert [after for _, after in server.asked] == [None, 7, 7, 7]


def test_a_job_that_is_done_is_asked_for_once() -> None:
    server = Server((0, state(3, done=True)))

    assert server.versions() == [3]
