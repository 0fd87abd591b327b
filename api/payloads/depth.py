"""Limits how deep JSON may be nested.

Every reader decodes again what we store, and decoders fail or crash on deep nesting.
"""

from collections.abc import Iterable


def is_nested_deeper(value: object, limit: int) -> bool:
    """Return whether arrays and objects in `value` are nested more than `limit` levels deep.

    `value` is decoded JSON. A number or a text has no level, `[]` has one, and `[[]]` has two.
    """
    level = [value]
    for _ in range(limit):
        level = [child for one in level for child in _children(one)]
    return any(isinstance(one, list | dict) for one in level)


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
