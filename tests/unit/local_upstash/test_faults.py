"""Which request suffers which fault, and how often."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from infra.local.upstash.faults import Fault, FaultChange, Faults


def _faults(**change: object) -> Faults:
    faults = Faults()
    faults.change(msgspec.convert(change, FaultChange))
    return faults


def test_a_count_runs_out() -> None:
    """The fault hits as many requests as it says."""
    faults = _faults(bad_gateway=2)

    assert [faults.take(["GET"]) for _ in range(3)] == [Fault.BAD_GATEWAY] * 2 + [None]


def test_minus_one_lasts_until_cleared() -> None:
    """Clearing ends every fault."""
    faults = _faults(quota=-1)

    assert {faults.take(["GET"]) for _ in range(50)} == {Fault.QUOTA}
    faults.clear()
    assert faults.take(["GET"]) is None


def test_only_spares_other_commands_and_the_count() -> None:
    """A request that does not match costs nothing; a pipeline matches by any of its commands."""
    faults = _faults(lose_replies=1, only=["xadd"])

    assert faults.take(["GET"]) is None
    assert faults.take(["GET", "XADD"]) is Fault.LOSE_REPLIES


def test_only_belongs_to_the_change_that_named_it() -> None:
    """A later fault without `only` hits everything."""
    faults = _faults(lose_replies=1, only=["XADD"])
    faults.change(FaultChange(cut=1))

    assert faults.take(["GET"]) is Fault.CUT
    assert faults.take(["XADD"]) is Fault.LOSE_REPLIES


def test_what_a_change_does_not_name_stays() -> None:
    """Faults are switched one by one."""
    faults = _faults(refuse=True)
    faults.change(FaultChange(rtt_ms=0))

    assert faults.refuse


def test_an_unknown_fault_is_refused() -> None:
    """A typing error must not look like a fault that never happens."""
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"lose_reply": 1}', type=FaultChange)


async def test_clearing_releases_what_is_kept_silent() -> None:
    """Held requests do not outlive their fault, also those that have not begun to wait."""
    faults = _faults(silent=1)
    cleared = faults.released

    faults.clear()

    async with asyncio.timeout(1):
        await cleared.wait()
