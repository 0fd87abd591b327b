"""How deep JSON may be nested.

What we store is decoded again by every reader, and decoders fail or crash on deep nesting.
"""

from collections.abc import Iterable


def is_nested_deeper(value: object, limit: int) -> bool:
    """Whether `value` has arrays or objects within one another, more than `limit` levels deep."""
    level = [value]
    for _ in range(limit):
        level = [child for one in level for child in _children(one)]
    return any(isinstance(one, list | dict) for one in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
