"""Derives separate signing keys from MILLRACE_SECRET, for tokens and ids that only we make."""

import hashlib
import hmac
from enum import StrEnum


class KeyPurpose(StrEnum):
    """What a derived key is for. A signature for one purpose is not valid for another."""

    TICKET = "ticket"
    CHAT_CURSOR = "chat-cursor"
    CHAT_MESSAGE = "chat-message"


def derive_key(secret: str, purpose: KeyPurpose) -> bytes:
    """Return a key of 32 bytes, which reveals nothing of `secret` or of the keys of other purposes.

    So a ticket can never pass as a session token, whatever its claims and headers say. One step of
    HMAC is HKDF-Expand (RFC 5869); Extract is not needed for a secret that is random already.
    """
    info = f"millrace/{purpose}/v1".encode() + b"\x01"
    return hmac.digest(secret.encode(), info, hashlib.sha256)
