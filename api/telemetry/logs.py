"""Structured logs on stderr: one JSON object a line in production, readable text in local mode.

A log line has an event name and fields. The text of an exception may quote a payload or a token, so
a failure is logged as its type and its frames; local mode shows the whole traceback.
"""

import logging
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from traceback import walk_tb
from typing import Any

import msgspec
import structlog
from structlog.types import EventDict, Processor

from api.payloads.models import plain
from api.settings import Settings

REQUEST_ID: ContextVar[str | None] = ContextVar("request_id", default=None)
FRAMES = 8  # the innermost of each error
CAUSES = 4  # errors of a chain
# They would log each request with its URL, which may hold a token.
CHATTY = ("httpx", "httpcore", "asyncio")


def configure(settings: Settings) -> None:
    """Set up all logging of the process by the settings, the standard library's too."""
    level: int = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [
        _with_request_id,
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
    ]
    readable = structlog.dev.ConsoleRenderer(
        colors=sys.stderr.isatty(),
        timestamp_key="time",
        # The pretty formatter shows local variables, and tokens may be among them.
        exception_formatter=structlog.dev.plain_traceback,
    )
    ending: list[Processor] = [readable] if settings.is_local else [_failure, _as_json]
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    _adopt_standard_library(shared, ending, level)


def _adopt_standard_library(
    shared: Sequence[Processor], ending: Sequence[Processor], level: int
) -> None:
    strip = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[strip, *ending],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _with_request_id(_: Any, __: str, event: EventDict) -> EventDict:
    if (request_id := REQUEST_ID.get()) is not None:
        event.setdefault("request_id", request_id)
    return event


def _failure(_: Any, __: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by what failed and where."""
    error = _error_of(event.pop("exc_info", None))
    if error is not None:
        event["error"] = " < ".join(type(one).__qualname__ for one in _causes(error))
        event["frames"] = [frame for one in _causes(error) for frame in _frames(one)]
    return event


def _error_of(given: object) -> BaseException | None:
    if isinstance(given, BaseException):
        return given
    info = given if isinstance(given, tuple) else sys.exc_info() if given else (None, None)
    found = info[1]
    return found if isinstance(found, BaseException) else None


def _causes(error: BaseException) -> list[BaseException]:
    """Return the error and those that led to it, the outermost first."""
    chain: list[BaseException] = []
    pending: list[BaseException | None] = [error]
    while pending and len(chain) < CAUSES:
        one = pending.pop(0)
        if one is None or one in chain:
            continue
        chain.append(one)
        if isinstance(one, BaseExceptionGroup):
            pending.extend(one.exceptions)
        pending.append(one.__cause__ or one.__context__)
    return chain


def _frames(error: BaseException) -> list[str]:
    frames = [
        f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
        for frame, line in walk_tb(error.__traceback__)
    ]
    return frames[-FRAMES:]


def _as_json(_: Any, __: str, event: EventDict) -> str:
    first = {key: event.pop(key, None) for key in ("time", "level", "event")}
    whole = {**first, **event}
    try:
        return msgspec.json.encode(whole, enc_hook=str).decode()
    except (UnicodeEncodeError, TypeError, ValueError, RecursionError):
        # Half a surrogate pair, or keys that JSON lacks: a line of a log must not fail a request.
        fields = {plain(str(key)): plain(repr(value)) for key, value in whole.items()}
        return msgspec.json.encode(fields).decode()
