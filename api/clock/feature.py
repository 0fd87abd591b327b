"""Builds the feature clock."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from api.clock.clock import Clock
from api.clock.openapi import describe_clock
from api.feature import Base, Feature
from api.settings import Settings

if TYPE_CHECKING:
    from api.events import Events


def build(_: Settings, base: Base) -> Feature:
    """Build the feature: its routes, with one clock that ticks for all readers of the process."""
    clock = Clock(base.system.clock)

    def routes(events: "Events") -> Sequence[type]:
        from api.clock.routes import clock_routes  # noqa: PLC0415  # workers need no Litestar

        return clock_routes(clock, events)

    return Feature(routes=routes, describe=describe_clock)
