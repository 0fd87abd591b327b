"""Requests about jobs that are wrong. No type of job is registered where they are sent."""

from __future__ import annotations

from typing import Any

from tests.integration.http.rows import DEEP, JSON, Row

NOBODY = f"job_{'0' * 26}"
WRONG = (422, "validation-failed")


def job(rule: str, body: Any, name: str | None, problem: tuple[int, str] = WRONG) -> Row:
    headers = JSON if isinstance(body, bytes) else {}
    return Row(f"a job {rule}", "POST", "/api/jobs", *problem, body, headers, name)


def query(rule: str, text: str, name: str, path: str = "/api/jobs") -> Row:
    return Row(f"jobs with {rule}", "GET", f"{path}?{text}", 400, "bad-request", field=name)


def nobody(rule: str, path: str, method: str = "GET") -> Row:
    return Row(f"{rule} of no job", method, f"/api/jobs/{path}", 404, "job-not-found")


JOB_ROWS = [
    job("without a body", b"", "body", (400, "bad-request")),
    job("that is cut off", b'{"type":', None, (400, "bad-request")),
    job("a million levels deep", b"[" * DEEP, None, (400, "bad-request")),
    job("that is an array", [], "body"),
    job("without a type", {"input": {}}, "type"),
    job("with an empty type", {"type": ""}, "type"),
    job("with a long type", {"type": "t" * 65}, "type"),
    job("with a type of a wrong kind", {"type": 1}, "type"),
    job("of an unknown type", {"type": "nothing"}, "type"),
    job("with an unknown field", {"type": "a", "priority": 1}, "priority"),
    Row(
        *("a job with a bad Idempotency-Key", "POST", "/api/jobs", 400, "bad-request"),
        body={"type": "a"},
        headers={"Idempotency-Key": "a b"},
        field="Idempotency-Key",
    ),
    query("a limit of 0", "limit=0", "limit"),
    query("a limit of 101", "limit=101", "limit"),
    query("an unknown status", "status=sleeping", "status"),
    query("101 ids", "ids=" + ",".join(f"job_{n:026}" for n in range(101)), "ids"),
    query("a wait of 26 s", "wait=26", "wait", f"/api/jobs/{NOBODY}"),
    query("a negative version", "wait=1&after=-1", "after", f"/api/jobs/{NOBODY}"),
    Row("jobs after garbage", "GET", "/api/jobs?cursor=%C3%A9", 400, "invalid-cursor"),
    Row("jobs after no job", "GET", "/api/jobs?cursor=bm9uZQ", 400, "invalid-cursor"),
    nobody("the state", NOBODY),
    nobody("the state under a bad id", "job_%0A"),
    nobody("the state under a lower-case id", NOBODY.lower().replace("0", "a")),
    nobody("the result", f"{NOBODY}/result"),
    nobody("the stream", f"{NOBODY}/events"),
    nobody("the cancel", f"{NOBODY}/cancel", "POST"),
    nobody("the retry", f"{NOBODY}/retry", "POST"),
]
