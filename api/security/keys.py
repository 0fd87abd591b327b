"""Keys for what only we sign, all from MILLRACE_SECRET."""

import hashlib
import hmac
from enum import StrEnum


class KeyPurpose(StrEnum):
    """What a derived key is for. A key of one purpose proves nothing for another."""

    TICKET = "ticket"
    CHAT_CURSOR = "chat-cursor"
    CHAT_MESSAGE = "chat-message"


def derive_key(secret: str, purpose: KeyPurpose) -> bytes:
    """32 bytes that tell nothing of `secret` or of the keys of other purposes.

    So a ticket can never pass as a session, whatever its claims and headers say. One step
    of HMAC is HKDF-Expand; Extract is not needed for a secret that is random already.
    """
    info = f"millrace/{purpose}/v1".encode() + b"\x01"
    return hmac.digest(secret.encode(), info, hashlib.sha256)
