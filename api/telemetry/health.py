"""Says whether the process can do its work now, by asking each part that it needs."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from types import MappingProxyType

import structlog

from api.problems import ApiError

TIMEOUT_S = 2.0
FRESH_S = 1.0  # how long an answer is used again

Check = Callable[[], Awaitable[object]]
log = structlog.get_logger()


class Unusable(Exception):
    """Raised by a check whose part answers but stays unusable; the text says what to do."""


class NotReady(ApiError):
    """Raised when the process cannot serve. `parts` are the names of the parts that fail.

    `reasons` says why, by part; a part without a reason is one that does not answer.
    """

    code = "not-ready"
    status = 503
    title = "This process cannot serve now"
    remediation = "Send requests elsewhere, and look at what `errors` names."

    def __init__(
        self,
        detail: str | None = None,
        *,
        parts: Sequence[str] = (),
        reasons: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        errors = [
            {"field": part, "message": reasons.get(part, "does not answer")} for part in parts
        ]
        super().__init__(detail, headers={"Retry-After": "2"}, errors=errors)


class Health:
    """Asks all parts of the process at once. An answer is used again for `FRESH_S` seconds.

    `checks` has a function for each part, which raises anything when the part is not usable. A
    check that takes longer than `timeout_s` seconds has failed too.
    """

    def __init__(
        self,
        checks: Mapping[str, Check],
        *,
        monotonic: Callable[[], float],
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._checks = dict(checks)
        self._monotonic = monotonic
        self._timeout_s = timeout_s
        self._asking = asyncio.Lock()
        self._asked_at: float | None = None
        self._failing: tuple[str, ...] = ()
        self._reasons: dict[str, str] = {}

    @property
    def parts(self) -> tuple[str, ...]:
        """The names of all parts that are asked."""
        return tuple(self._checks)

    @property
    def reasons(self) -> Mapping[str, str]:
        """Why parts are unusable, by name. Parts that do not answer have no reason here."""
        return self._reasons

    async def failing(self) -> tuple[str, ...]:
        """Return the names of the parts that are unusable or do not answer. Raises nothing."""
        async with self._asking:
            if self._asked_at is None or self._monotonic() - self._asked_at >= FRESH_S:
                states = await asyncio.gather(*(self._is_well(name) for name in self._checks))
                pairs = zip(self._checks, states, strict=True)
                self._failing = tuple(name for name, is_well in pairs if not is_well)
                self._asked_at = self._monotonic()
            return self._failing

    async def _is_well(self, name: str) -> bool:
        self._reasons.pop(name, None)
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._checks[name]()
        except Unusable as error:
            self._reasons[name] = str(error)
            log.error("health.part_unusable", part=name, reason=str(error))  # noqa: TRY400
            return False
        except Exception as error:  # noqa: BLE001  # a part may fail in any way
            log.warning("health.part_failed", part=name, error=type(error).__name__)
            return False
        return True
