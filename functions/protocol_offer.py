"""Takes the offer to change the protocol out of a request's head.

Source: RFC 9110, 7.8 (Upgrade); RFC 7540, 3.2 (HTTP2-Settings). The offer is between the two ends
of one connection, and a server may ignore it.
"""

from collections.abc import Iterable

OFFER = frozenset({b"upgrade", b"http2-settings"})


def head_without_offer(
    method: bytes, target: bytes, version: str, headers: Iterable[tuple[bytes, bytes]]
) -> bytes:
    """The bytes of a head without its offer. Names of headers are given in lower case."""
    lines = [b"%b %b HTTP/%b" % (method, target, version.encode())]
    for name, value in headers:
        kept = _without_offer(value) if name == b"connection" else value
        if name not in OFFER and kept:
            lines.append(name + b": " + kept)
    return b"\r\n".join([*lines, b"", b""])


def _without_offer(value: bytes) -> bytes:
    options = [option.strip() for option in value.split(b",")]
    return b", ".join(option for option in options if option.lower() not in OFFER)
