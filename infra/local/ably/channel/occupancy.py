"""Occupancy: how many connections are on a channel, and in which modes."""

from __future__ import annotations

from typing import TypeAlias

from infra.local.ably.channel.channel import Channel
from infra.local.ably.protocol import Action, Frame, Mode

Metrics: TypeAlias = dict[str, int]


def metrics(channel: Channel) -> Metrics:
    """The six figures of a channel, by the names of the protocol."""

    def count(mode: Mode) -> int:
        return sum(mode in listener.modes for listener in channel.listeners)

    return {
        "connections": len(channel.listeners),
        "publishers": count(Mode.PUBLISH),
        "subscribers": count(Mode.SUBSCRIBE),
        "presenceConnections": count(Mode.PRESENCE),
        "presenceMembers": len(channel.members),
        "presenceSubscribers": count(Mode.PRESENCE_SUBSCRIBE),
    }


def asked_metrics(channel: Channel, text: str) -> Metrics:
    """All figures for `metrics`, one for `metrics.<name>`, and none for anything else."""
    found = metrics(channel)
    if text == "metrics":
        return found
    name = text.removeprefix("metrics.")
    return {name: found[name]} if text != name and name in found else {}


def status(channel: Channel) -> dict[str, object]:
    """The ChannelDetails of the REST API."""
    occupancy = {"metrics": metrics(channel)}
    return {
        "channelId": channel.name,
        "name": channel.name,
        "status": {"isActive": bool(channel.listeners), "occupancy": occupancy},
    }


def occupancy_frame(name: str, found: Metrics, now_ms: int) -> Frame:
    """The message for an attachment with `occupancy=metrics`. It does not go into the log."""
    identity = f"occupancy-{now_ms}"
    message = {
        "id": f"{identity}:0",
        "name": "[meta]occupancy",
        "data": {"metrics": found},
        "timestamp": now_ms,
    }
    return {
        "action": int(Action.MESSAGE),
        "channel": name,
        "id": identity,
        "timestamp": now_ms,
        "messages": [message],
    }
