"""A short text for any number of long ones."""

from hashlib import sha256


def digest_of(*parts: str) -> str:
    """32 hexadecimal digits (128 bits of SHA-256) that differ where any of the parts does.

    They are joined by line breaks, so only the last one may hold line breaks of a caller's own.
    """
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
