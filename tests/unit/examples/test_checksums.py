"""Checksums are right, item by item; failures do what was asked."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from pydantic import ValidationError

from api.examples.checksums import ChecksumsInput, ChecksumsResult, checksums
from api.jobs.model.handlers import JobFailed
from tests.unit.examples.recording import Recording, recording

ABC = sha256(b"abc").hexdigest()
WRONG = "0" * 64


async def run(context: Recording | None = None, /, **data: Any) -> ChecksumsResult:
    return await checksums(context or recording(), ChecksumsInput.model_validate(data))


async def test_the_sum_is_that_of_the_text_in_utf8() -> None:
    """Bytes, not characters."""
    result = await run(items=[{"name": "a", "content": "é"}, {"name": "b", "content": ""}])

    assert [(one.bytes, one.sha256) for one in result.items] == [
        (2, sha256("é".encode()).hexdigest()),
        (0, sha256(b"").hexdigest()),
    ]


async def test_generated_bytes_follow_from_name_and_size() -> None:
    """Any attempt, anywhere, sums up the same bytes."""
    items = [{"name": name, "size": size} for name, size in (("a", 9), ("a", 9), ("b", 9))]

    one, again, other = (await run(items=items)).items

    assert one == again
    assert one.sha256 != other.sha256
    assert one.bytes == 9


async def test_steps_are_items_and_progress_is_bytes() -> None:
    """A large item does not look like a stop."""
    context = recording()

    await run(context, items=[{"name": "a", "content": "abc"}, {"name": "b", "size": 5_000_000}])

    assert context.steps == [("item-1", 1, 2), ("item-2", 2, 2)]
    assert len(context.parts) == 1 + 5
    assert context.parts == sorted(context.parts)
    assert context.parts[-1] == 1
    assert context.report.message == "5,000,000 of 5,000,000 bytes"


async def test_a_wrong_sum_makes_a_partial_result() -> None:
    """The others are worth having."""
    items = [
        {"name": "wrong", "content": "abc", "sha256": WRONG},
        {"name": "right", "content": "abc", "sha256": ABC},
    ]

    result = await run(items=items)

    assert result.failed == 1
    assert [one.error for one in result.items] == [f"The sum is {ABC}, not {WRONG}.", None]


async def test_all_or_nothing_fails_for_good() -> None:
    """Another attempt would find the same bytes."""
    items = [{"name": "a", "content": "abc", "sha256": WRONG}]

    with pytest.raises(JobFailed) as failure:
        await run(items=items, all_or_nothing=True)

    assert (failure.value.code, failure.value.retryable) == ("wrong-checksum", False)


@pytest.mark.parametrize("count", [1, 2, 5])
async def test_the_demonstration_fails_half_way_so_often_and_then_succeeds(count: int) -> None:
    """Named as what it is; what was done before is shown."""
    items = [{"name": f"item {number}", "content": "abc"} for number in range(count)]
    first, third = recording(attempt=2), recording(attempt=3)

    with pytest.raises(JobFailed) as failure:
        await run(first, items=items, demo_failing_attempts=2)
    result = await run(third, items=items, demo_failing_attempts=2)

    assert (failure.value.code, failure.value.retryable) == ("demonstration", True)
    assert len(first.steps) == count // 2
    assert result.failed == 0


@pytest.mark.parametrize(
    "data",
    [
        {"items": []},
        {"items": [{"name": ""}]},
        {"items": [{"name": "a", "content": "a", "size": 1}]},
        {"items": [{"name": "a", "sha256": "abc"}]},
        {"items": [{"name": "a", "size": 600_000_000}] * 2},
        {"items": [{"name": "a"}], "sleep": 1},
    ],
)
def test_input_has_bounds(data: dict[str, Any]) -> None:
    """What is refused is refused before it is queued."""
    with pytest.raises(ValidationError):
        ChecksumsInput.model_validate(data)
