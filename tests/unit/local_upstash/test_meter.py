"""The bill of a script is read from the engine's statistics."""

from __future__ import annotations

from infra.local.upstash.meter import Meter, bill_between

BEFORE = (
    b"# Commandstats\r\n"
    b"cmdstat_get:calls=5,usec=9,usec_per_call=1.80,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_ping:calls=2,usec=1,usec_per_call=0.50,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_info:calls=1,usec=40,usec_per_call=40.00,rejected_calls=0,failed_calls=0\r\n"
)
AFTER = (
    b"# Commandstats\r\n"
    b"cmdstat_get:calls=7,usec=12,usec_per_call=1.71,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_ping:calls=2,usec=1,usec_per_call=0.50,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_info:calls=2,usec=80,usec_per_call=40.00,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_eval:calls=1,usec=50,usec_per_call=50.00,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_xgroup|create:calls=1,usec=5,usec_per_call=5.00,rejected_calls=0,failed_calls=0\r\n"
    b"cmdstat_lpush:calls=0,usec=0,usec_per_call=0.00,rejected_calls=1,failed_calls=0\r\n"
)


def test_a_bill_is_what_was_called_in_between() -> None:
    """It leaves out INFO and refused calls. Subcommands count by their command."""
    assert bill_between(BEFORE, AFTER) == {"GET": 2, "EVAL": 1, "XGROUP": 1}


def test_an_info_inside_the_script_is_billed() -> None:
    """Only the INFO that measures is left out."""
    after = AFTER.replace(b"cmdstat_info:calls=2", b"cmdstat_info:calls=3")

    assert bill_between(BEFORE, after)["INFO"] == 1


def test_the_meter_adds_up_and_starts_again() -> None:
    """A reset forgets everything."""
    meter = Meter()
    meter.add("XREAD")
    meter.add_all(bill_between(BEFORE, AFTER))

    assert meter.snapshot() == {
        "billed": 5,
        "commands": {"XREAD": 1, "GET": 2, "EVAL": 1, "XGROUP": 1},
    }
    meter.reset()
    assert meter.snapshot() == {"billed": 0, "commands": {}}
