"""Capabilities: what a key or a token may do on which channels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.ably.protocol import AblyError

_ANY = "*"
# https://ably.com/docs/auth/capabilities#capability-operations
_OPERATIONS = frozenset(
    {
        "annotation-publish",
        "annotation-subscribe",
        "channel-metadata",
        "history",
        "message-delete-any",
        "message-delete-own",
        "message-update-any",
        "message-update-own",
        "object-publish",
        "object-subscribe",
        "presence",
        "privileged-headers",
        "publish",
        "push-admin",
        "push-subscribe",
        "stats",
        "subscribe",
    }
)


@dataclass(frozen=True, slots=True)
class Capability:
    """Operations by resource. `text` is the JSON they were read from, which is shown unchanged."""

    text: str
    operations: Mapping[str, frozenset[str]]

    @classmethod
    def parse(cls, text: str) -> Capability:
        """Read JSON like {"room:*": ["subscribe"]}.

        Each resource needs at least one operation that the service knows, or `*` alone.
        Raises AblyError 40003 for anything else.
        """
        try:
            raw = json.loads(text)
            return cls(text, {name: _operations(given) for name, given in raw.items()})
        except (ValueError, TypeError, AttributeError):
            raise AblyError(40003, 400, "the capability is not valid") from None

    def allows(self, operation: str, channel: str) -> bool:
        return any(
            not granted.isdisjoint({operation, _ANY}) and matches(resource, channel)
            for resource, granted in self.operations.items()
        )

    def narrowed_to(self, wanted: Capability) -> Capability:
        """The operations that both allow. Raises AblyError 40160 when there is none."""
        both: dict[str, frozenset[str]] = {}
        for ours, granted in self.operations.items():
            for theirs, asked in wanted.operations.items():
                resource = _narrower(ours, theirs)
                if resource is not None and (common := _common(granted, asked)):
                    both[resource] = both.get(resource, frozenset()) | common
        if not both:
            raise AblyError(
                40160, 401, "the requested capability and the key's have nothing in common"
            )
        if both == wanted.operations:
            return wanted
        return Capability(json.dumps({name: sorted(both[name]) for name in both}), both)


def matches(resource: str, channel: str) -> bool:
    """Whether the pattern `resource` covers a channel, or all that another pattern covers.

    `*` stands for one whole segment, and at the end for one or more; `foo*` is literal. A channel
    with a qualifier such as `[meta]` needs the same one in the pattern; `[*]` is any or none.
    Source: https://ably.com/docs/auth/capabilities
    """
    wanted_qualifier, pattern = _split(resource)
    qualifier, name = _split(channel)
    if wanted_qualifier not in {"[*]", qualifier}:
        return False
    parts, segments = pattern.split(":"), name.split(":")
    if parts[-1] == _ANY:
        is_long_enough = len(segments) >= len(parts)
        parts, segments = parts[:-1], segments[: len(parts) - 1]
    else:
        is_long_enough = len(segments) == len(parts)
    return is_long_enough and all(
        part in {_ANY, segment} for part, segment in zip(parts, segments, strict=True)
    )


def _operations(given: object) -> frozenset[str]:
    if not isinstance(given, list) or not given:
        raise TypeError
    if given != [_ANY] and not _OPERATIONS.issuperset(given):
        raise ValueError
    return frozenset(given)


def _narrower(one: str, other: str) -> str | None:
    if matches(one, other):
        return other
    return one if matches(other, one) else None


def _common(granted: frozenset[str], asked: frozenset[str]) -> frozenset[str]:
    if _ANY in granted:
        return asked
    return granted if _ANY in asked else granted & asked


def _split(name: str) -> tuple[str, str]:
    if name.startswith("[") and (end := name.find("]")) > 0:
        return name[: end + 1], name[end + 1 :]
    return "", name
