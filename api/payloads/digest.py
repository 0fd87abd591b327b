"""Makes a short, fixed-length key from any number of texts."""

from hashlib import sha256


def digest_of(*parts: str) -> str:
    """Return 32 hexadecimal digits (128 bits of SHA-256) that differ if any of the parts differs.

    The parts are joined by line breaks. Only the last part may therefore be a text of a caller that
    can hold line breaks: otherwise two different lists could have the same digest.
    """
    return sha256("\n".join(parts).encode()).hexdigest()[:32]
