"""How deep JSON may be nested: what we store is decoded again by every reader."""

from collections.abc import Iterable


def is_nested_deeper(value: object, limit: int) -> bool:
    """Whether arrays and objects stand in each other more than `limit` levels deep."""
    level = [value]
    for _ in range(limit):
        level = [child for one in level for child in _children(one)]
    return any(isinstance(one, list | dict) for one in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
