"""Errors as Ably's SDKs read them."""

from __future__ import annotations

import pytest

from api import problems
from api.chat.ably.errors import NoRooms, TooManyRooms, ably_error
from api.chat.problems import Banned, ChatNotConfigured


@pytest.mark.parametrize(
    ("kind", "status", "code"),
    [
        (Banned, 403, 40300),
        (NoRooms, 401, 40160),
        (TooManyRooms, 400, 40000),
        (ChatNotConfigured, 503, 50003),
        (problems.Unauthorized, 401, 40100),
        (problems.TokenExpired, 401, 40100),
        (problems.RateLimited, 429, 42910),
        (problems.PayloadTooLarge, 413, 41300),
        (problems.StoreUnavailable, 503, 50003),
        (problems.ApiError, 500, 50000),
    ],
)
def test_each_problem_has_ablys_code(kind: type[problems.ApiError], status: int, code: int) -> None:
    """With its status, and words that say what to do."""
    found, body = ably_error(kind, "Because.")

    assert found == body["error"]["statusCode"] == status
    assert body["error"]["code"] == code
    assert body["error"]["message"] == f"Because. {kind.remediation}"


@pytest.mark.parametrize("kind", [problems.Forbidden, problems.ForeignOrigin])
def test_only_a_ban_is_403(kind: type[problems.ApiError]) -> None:
    """Ably's SDKs give up for good on 403."""
    assert ably_error(kind)[0] == 401
