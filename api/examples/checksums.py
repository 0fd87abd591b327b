"""The job `checksums`: SHA-256 of a batch, item by item. It can fail on request."""

import hashlib
import random
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.examples.chunks import BYTES, Pieces, driven
from api.jobs import JobContext, JobFailed, job

MAX_BATCH_BYTES: Final = 1_000_000_000


class Item(BaseModel):
    """Something to sum up: the text `content`, or `size` bytes that are generated from the name."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64)]
    content: Annotated[str | None, Field(max_length=100_000)] = None
    size: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    sha256: Annotated[
        str | None, Field(pattern="^[0-9a-f]{64}$", description="Another sum fails the item.")
    ] = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.content is not None and self.size:
            raise ValueError("give content or size, not both")
        return self

    @property
    def length(self) -> int:
        """The size of the item in bytes."""
        return self.size if self.content is None else len(self.content.encode())


class ChecksumsInput(BaseModel):
    """Input of a `checksums` job: the items, and what a wrong sum does."""

    model_config = ConfigDict(extra="forbid")

    items: Annotated[list[Item], Field(min_length=1, max_length=1_000)]
    all_or_nothing: Annotated[
        bool, Field(description="A wrong sum fails the job, and is not only noted.")
    ] = False
    demo_failing_attempts: Annotated[
        int,
        Field(
            ge=0,
            le=10,
            description="A demonstration: so many attempts fail half way, so that retries show.",
        ),
    ] = 0

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if sum(item.length for item in self.items) > MAX_BATCH_BYTES:
            raise ValueError(f"all items together may have {MAX_BATCH_BYTES} bytes")
        return self


class ItemResult(BaseModel):
    """The SHA-256 of one item, in hexadecimal digits, and its size in bytes."""

    name: str
    bytes: int
    sha256: str
    error: Annotated[str | None, Field(description="Why the item failed.")] = None


class ChecksumsResult(BaseModel):
    """Result of a `checksums` job: the sum of each item, in order, and how many were wrong."""

    items: list[ItemResult]
    failed: int


@job(
    "checksums",
    input=ChecksumsInput,
    result=ChecksumsResult,
    max_attempts=3,
    timeout_s=300,
    summary="SHA-256 of a batch of contents, checked against given sums.",
)
async def checksums(context: JobContext, data: ChecksumsInput) -> ChecksumsResult:
    """Sum up all items, and report each as a step.

    A wrong sum is noted with its item or, with `all_or_nothing`, fails the job for good.
    """
    results: list[ItemResult] = []
    passed = 0
    total = sum(item.length for item in data.items)
    for index, item in enumerate(data.items, start=1):
        _fail_on_request(context, data, index)
        await context.step(f"item-{index}", index=index, total=len(data.items), label=item.name)
        results.append(await _summed(context, item, passed=passed, total=total))
        passed += item.length
        if results[-1].error and data.all_or_nothing:
            raise JobFailed("wrong-checksum", f"{item.name}: {results[-1].error}", retryable=False)
    return ChecksumsResult(items=results, failed=sum(one.error is not None for one in results))


def _fail_on_request(context: JobContext, data: ChecksumsInput, index: int) -> None:
    is_half_way = index == len(data.items) // 2 + 1
    if is_half_way and context.attempt <= data.demo_failing_attempts:
        detail = f"Attempt {context.attempt} fails as demo_failing_attempts asks."
        raise JobFailed("demonstration", detail, retryable=True)


async def _summed(context: JobContext, item: Item, *, passed: int, total: int) -> ItemResult:
    digest = hashlib.sha256()

    async def report(length: int) -> None:
        note = f"{length:,} of {item.length:,} bytes"
        await context.progress(passed + length, total, note=note)

    await driven(_hashed(item, digest), report)
    found = digest.hexdigest()
    is_wrong = item.sha256 is not None and item.sha256 != found
    error = f"The sum is {found}, not {item.sha256}." if is_wrong else None
    return ItemResult(name=item.name, bytes=item.length, sha256=found, error=error)


def _hashed(item: Item, digest: "hashlib._Hash") -> Pieces:
    """Feed `digest` piece by piece; yield the number of bytes that it has so far."""
    if item.content is not None:
        digest.update(item.content.encode())
        yield item.length
        return
    rng = random.Random(item.name)  # noqa: S311  # the same bytes for a name, not secret ones
    for begin in range(0, item.size, BYTES):
        digest.update(rng.randbytes(min(BYTES, item.size - begin)))
        yield min(begin + BYTES, item.size)
