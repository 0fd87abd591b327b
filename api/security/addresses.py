"""Finds out the address that a request comes from, when proxies are in front."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

UNKNOWN = "unknown"
IPV6_PREFIX_BITS = 64


def client_ip(peer: str | None, forwarded_for: str | None, trusted_proxies: int) -> str:
    """Return the client's address as a key for limits; for an IPv6 client it is the /64 network.

    `peer` is the address of the connection, None if unknown. `forwarded_for` is the whole
    X-Forwarded-For header, its lines put together. Each proxy appends the address that called it.
    So only the last `trusted_proxies` entries can be believed; what is before them the client may
    have written. If one of them is no address, the nearest good one after it is taken. Without any
    good address the result is `UNKNOWN`, one key for all such callers.
    """
    best = _key(peer or "") or UNKNOWN
    for hop in reversed(_last(forwarded_for or "", trusted_proxies)):
        if (key := _key(hop)) is None:
            return best
        best = key
    return best


def _last(forwarded_for: str, count: int) -> list[str]:
    return forwarded_for.rsplit(",", count)[-count:] if count and forwarded_for else []


def _key(text: str) -> str | None:
    try:
        address = ip_address(_without_port(text.strip().strip('"')))
    except ValueError:
        return None
    if isinstance(address, IPv4Address):
        return str(address)
    if address.ipv4_mapped:
        return str(address.ipv4_mapped)
    # One client has a whole /64 network, so a limit on single addresses would limit nothing.
    return str(IPv6Network((IPv6Address(int(address)), IPV6_PREFIX_BITS), strict=False))


def _without_port(text: str) -> str:
    if text.startswith("["):
        return text[1:].partition("]")[0]
    # More than one colon is a bare IPv6 address; some proxies write IPv4 with its port.
    return text.partition(":")[0] if text.count(":") == 1 else text
