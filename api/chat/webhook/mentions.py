"""Finds out whom a message mentions: by `@name` in its text, or in its extras."""

import re
from collections.abc import Iterator
from typing import Final

from api.chat.webhook.inbound import ChatMessage
from api.security.users import InvalidUserId, addressed_user

MAX_MENTIONS: Final = 20
# Not within a word, so that an e-mail address names nobody.
_AT = re.compile(r"(?<![A-Za-z0-9_.~@-])@([A-Za-z0-9_.~-]{1,64})")


def candidates(message: ChatMessage) -> list[str]:
    """Return the names that a message may mention, in order, 20 at most.

    Only a new message mentions anybody, and never its own sender. Whether the names are members of
    the room is not known here.
    """
    if message.action != "created":
        return []
    found = dict.fromkeys(_names(message))
    found.pop(message.client_id or "", None)
    return list(found)[:MAX_MENTIONS]


def _names(message: ChatMessage) -> Iterator[str]:
    headers = message.extras.get("headers")
    named = headers.get("mentions") if isinstance(headers, dict) else None
    if isinstance(named, str):
        yield from filter(None, map(_addressed, named.split(",")))
    for match in _AT.finditer(message.text):
        yield match[1]
        # A full stop ends a sentence more often than a name.
        if (bare := match[1].rstrip(".~-")) and bare != match[1]:
            yield bare


def _addressed(name: str) -> str | None:
    try:
        return addressed_user(name.strip())
    except InvalidUserId:
        return None
