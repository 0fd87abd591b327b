"""One connection on one channel: with which modes, from which position, and what it gets."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.ably.channel.channel import Channel, Entry
from infra.local.ably.channel.occupancy import Metrics, asked_metrics, occupancy_frame
from infra.local.ably.keys_and_tokens.keys import Grant
from infra.local.ably.protocol import (
    DEFAULT_MODES,
    OPERATIONS,
    AblyError,
    Action,
    Flag,
    Frame,
    Mode,
    not_permitted,
)

_REWIND = re.compile(r"(\d{1,9})(s|m)?", re.ASCII)
_MAX_REWIND_MS = 120_000
_MAX_REWOUND = 100
# All that the service knows. `delta` and `appendMode` change nothing here: messages are sent whole,
# which a client that asks for deltas has to accept.
_KNOWN_PARAMS = ("appendMode", "delta", "echo", "modes", "occupancy", "rewind")


@dataclass(slots=True, eq=False)
class Attachment:
    """A listener that passes the frames of a channel to its connection."""

    channel: Channel
    connection_id: str
    asked: Mode
    modes: Mode
    params: Mapping[str, str]
    is_echoed: bool
    send: Callable[[Frame], None]
    _occupancy: Metrics | None = None

    def hear(self, frame: Frame) -> None:
        is_own = frame.get("connectionId") == self.connection_id
        if frame["action"] == Action.MESSAGE:
            is_wanted = Mode.SUBSCRIBE in self.modes and (self.is_echoed or not is_own)
        else:
            # A client gets its own presence in any mode: the SDK waits for it.
            is_wanted = Mode.PRESENCE_SUBSCRIBE in self.modes or is_own
        if is_wanted:
            self.send(frame)

    def begin(self, frame: Frame, now_ms: int) -> None:
        """Answer an ATTACH: with ATTACHED, the missed or rewound messages, and the members."""
        serial, flags, backlog = self._position(frame, now_ms)
        if len(self.channel.members) and Mode.PRESENCE_SUBSCRIBE in self.modes:
            flags |= Flag.HAS_PRESENCE
        attached = {
            "action": int(Action.ATTACHED),
            "channel": self.channel.name,
            "channelSerial": serial,
            # ably-js takes the channel's modes from here; without SUBSCRIBE it hears nothing.
            "flags": int(flags) | int(self.modes),
            "params": {**self.params},
        }
        self.send(attached)
        for entry in backlog:
            self.hear(entry.frame)
        if Flag.HAS_PRESENCE in flags:
            self.sync()

    def sync(self) -> None:
        """Send all members on one page. The cursor behind the colon is empty: it is the last."""
        self.send(
            {
                "action": int(Action.SYNC),
                "channel": self.channel.name,
                "channelSerial": f"{secrets.token_hex(4)}:",
                "presence": self.channel.members.all(),
            }
        )

    def tell_occupancy(self, now_ms: int) -> None:
        """Send the occupancy if it was asked for and has changed."""
        found = asked_metrics(self.channel, self.params.get("occupancy", ""))
        if found and found != self._occupancy:
            self._occupancy = found
            self.send(occupancy_frame(self.channel.name, found, now_ms))

    def _position(self, frame: Frame, now_ms: int) -> tuple[str, Flag, list[Entry]]:
        given = frame.get("channelSerial")
        if given and (missed := self.channel.after(given)) is not None:
            return given, Flag.RESUMED, missed
        is_resumed = Flag.ATTACH_RESUME in Flag(frame.get("flags", 0) & 0xFF)
        if given or is_resumed:
            return self.channel.serial, Flag(0), []
        rewound = rewind(self.channel, self.params.get("rewind"), now_ms)
        if not rewound:
            return self.channel.serial, Flag(0), []
        # Just before the first one, so that a client that is cut amid the backlog loses nothing.
        return rewound[0].serial[:-1], Flag.HAS_BACKLOG, rewound


def known_params(frame: Mapping[str, Any]) -> dict[str, str]:
    """The params of an ATTACH that are known. Raises AblyError 40003 for a bad rewind."""
    given = frame.get("params", {})
    params = {name: str(given[name]) for name in _KNOWN_PARAMS if given.get(name) is not None}
    if "rewind" in params:
        _span(params["rewind"])
    return params


def rewind(channel: Channel, text: str | None, now_ms: int) -> list[Entry]:
    """The entries that a rewind such as `10`, `15s` or `2m` asks for; none when it is absent.

    Raises AblyError 40003 for anything else.
    """
    if text is None:
        return []
    number, unit = _span(text)
    if unit is None:
        return channel.newest(min(number, _MAX_REWOUND), since_ms=now_ms - _MAX_REWIND_MS)
    span_ms = min(number * (60_000 if unit == "m" else 1_000), _MAX_REWIND_MS)
    return channel.newest(_MAX_REWOUND, since_ms=now_ms - span_ms)


def _span(text: str) -> tuple[int, str | None]:
    found = _REWIND.fullmatch(text)
    if found is None:
        raise AblyError(40003, 400, "rewind is a number of messages, or a time such as 15s or 2m")
    return int(found[1]), found[2]


def asked_modes(frame: Mapping[str, Any], params: Mapping[str, str]) -> Mode:
    """The modes that an ATTACH asks for: by `modes`, else by its flags, else the default."""
    if names := params.get("modes"):
        found = Mode(0)
        for name in names.upper().split(","):
            found |= Mode.__members__.get(name.strip(), Mode(0))
        return found
    every = sum(Mode)
    return Mode(frame.get("flags", 0) & every) or DEFAULT_MODES


def permitted(asked: Mode, grant: Grant, channel: str) -> Mode:
    """The modes that the grant allows. Raises AblyError 40160 when it allows none of them."""
    found = Mode(0)
    for mode in asked:
        if grant.capability.allows(OPERATIONS[mode], channel):
            found |= mode
    if not found:
        raise not_permitted("attach", channel)
    return found
