"""Which address counts behind proxies."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.security.addresses import UNKNOWN, client_ip


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "proxies", "expected"),
    [
        ("9.9.9.9", "1.1.1.1", 0, "9.9.9.9"),
        ("9.9.9.9", None, 1, "9.9.9.9"),
        ("9.9.9.9", "", 1, "9.9.9.9"),
        ("10.0.0.1", "1.1.1.1", 1, "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("10.0.0.1", "6.6.6.6,1.1.1.1,10.0.0.2", 2, "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1", 3, "1.1.1.1"),
        ("10.0.0.1", "1.1.1.1:4711", 1, "1.1.1.1"),
        ("10.0.0.1", '"[2001:db8:1:2:3::4]:443"', 1, "2001:db8:1:2::/64"),
        (None, "1.1.1.1", 1, "1.1.1.1"),
        ("testclient", None, 0, UNKNOWN),
        (None, None, 0, UNKNOWN),
        ("", "garbage", 1, UNKNOWN),
    ],
)
def test_the_address_is_counted_from_the_right(
    peer: str | None, forwarded_for: str | None, proxies: int, expected: str
):
    """Only as many entries as there are trusted proxies are believed."""
    assert client_ip(peer, forwarded_for, proxies) == expected


@pytest.mark.parametrize("garbage", ["unknown", "", "1.1.1", "<script>", "1.1.1.1.1", "[", "_x:1"])
def test_garbage_falls_back_to_the_nearest_good_address(garbage: str):
    """What lies behind it is not believed either."""
    assert client_ip("9.9.9.9", f"6.6.6.6, {garbage}", 2) == "9.9.9.9"
    assert client_ip("9.9.9.9", f"6.6.6.6, {garbage}, 8.8.8.8", 3) == "8.8.8.8"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
    ],
)
def test_ipv6_is_limited_by_network(address: str, expected: str):
    """One client owns a whole /64; an IPv4 address in IPv6 clothes is that address."""
    assert client_ip(address, None, 0) == expected


@given(st.text(), st.integers(1, 3))
def test_what_the_client_writes_never_counts(forged: str, proxies: int):
    """Whatever stands before the trusted entries changes nothing."""
    trusted = ["1.1.1.1", "10.0.0.3", "10.0.0.2"][:proxies]

    assert client_ip("10.0.0.1", ",".join([forged, *trusted]), proxies) == "1.1.1.1"
