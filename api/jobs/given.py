"""What handlers give, as it can be stored and read again. No I/O."""

from decimal import Decimal
from math import inf
from numbers import Real
from operator import index
from typing import Any, Final

from api.jobs.job import MAX_MESSAGE_CHARS
from api.payloads.models import plain

MAX_DETAIL_CHARS: Final = 2000
MAX_NUMBER: Final = 2**53 - 1  # what JavaScript counts to


def text_of(value: object, most: int = MAX_MESSAGE_CHARS) -> str:
    """A handler's text as it can be stored: plain, at most so long. Raises `TypeError`."""
    if not isinstance(value, str):
        raise TypeError(f"a text is needed, not {type(value).__name__}")
    return plain(value)[:most]


def number_of(value: Any) -> float:
    """A handler's number, of whatever size. Raises `TypeError`."""
    if not isinstance(value, Real | Decimal):
        raise TypeError(f"a number is needed, not {type(value).__name__}")
    try:
        return float(value)
    except OverflowError:
        return inf if value == abs(value) else -inf


def count_of(value: Any) -> int:
    """A handler's whole number. Raises `TypeError`, `ValueError`."""
    count = index(value)
    if abs(count) > MAX_NUMBER:
        raise ValueError("a number is needed that JavaScript can count to")
    return count
