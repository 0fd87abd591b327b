"""Keys of the team's tokens: fetched rarely, kept while the URL fails."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.problems import KeysUnavailable
from api.security import jwks as module
from api.security.jwks import Algorithm, JwksKeys
from tests.unit.security.jwks_server import JwksServer, ec_jwk, rsa_jwk
from tests.unit.security.support import FakeClock

RS256, ES256 = Algorithm.RS256, Algorithm.ES256


async def test_keys_are_fetched_once_and_remembered(jwks: JwksServer):
    """All tokens of ten minutes cost one fetch."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a"), ec_jwk("b")]

    for _ in range(10):
        clock.advance(59)
        assert await keys.find("a", RS256)
        assert await keys.find("b", ES256)

    assert jwks.hits == 1


async def test_a_rotated_key_is_found_at_once(jwks: JwksServer):
    """An unknown kid fetches again, before the keys are old."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    assert await keys.find("a", RS256)

    clock.advance(31)
    jwks.keys = [rsa_jwk("b")]

    assert await keys.find("b", RS256)
    assert await keys.find("a", RS256) is None
    assert jwks.hits == 2


async def test_a_withdrawn_key_is_refused_once_the_keys_are_old(jwks: JwksServer):
    """Revoking a key takes effect within ten minutes."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a"), rsa_jwk("b")]
    assert await keys.find("a", RS256)

    jwks.keys = [rsa_jwk("b")]
    clock.advance(601)

    assert await keys.find("a", RS256) is None


async def test_a_storm_of_unknown_kids_costs_one_fetch_in_30_s(jwks: JwksServer):
    """Invented kids do not make us attack the team's own server."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]

    for number in range(600):
        clock.advance(0.1)
        assert await keys.find(f"random-{number}", RS256) is None

    assert jwks.hits <= 3


async def test_concurrent_first_requests_share_one_fetch(jwks: JwksServer):
    """Single flight, also for those who ask for what does not exist."""
    keys = JwksKeys(jwks.url, clock=FakeClock())
    jwks.keys = [rsa_jwk("a")]

    found = await asyncio.gather(*(keys.find(kid, RS256) for kid in ["a", "x"] * 20))

    assert jwks.hits == 1
    assert sum(key is not None for key in found) == 20


async def test_nobody_with_a_good_key_waits_for_a_slow_url(jwks: JwksServer):
    """While one request fetches anew, the others go on with what is remembered."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    await keys.find("a", RS256)
    clock.advance(601)
    jwks.gate = asyncio.Event()

    first = asyncio.create_task(keys.find("a", RS256))
    while jwks.hits < 2:
        await asyncio.sleep(0)
    async with asyncio.timeout(1):
        assert await keys.find("a", RS256)
    assert not first.done()

    jwks.gate.set()
    assert await first


async def test_keys_survive_an_outage_of_the_url(jwks: JwksServer):
    """Signed-in users stay signed in; the URL is tried again at intervals."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    await keys.find("a", RS256)
    jwks.status = 500

    for _ in range(100):
        clock.advance(10)
        assert await keys.find("a", RS256)
    assert jwks.hits < 100

    jwks.status, jwks.keys = 200, [rsa_jwk("b")]
    clock.advance(10)
    assert await keys.find("b", RS256)


async def test_after_a_day_of_outage_old_keys_end(jwks: JwksServer):
    """Whoever blocks the URL cannot keep a revoked key alive for ever."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    await keys.find("a", RS256)
    jwks.status = 500

    clock.advance(86_401)

    with pytest.raises(KeysUnavailable):
        await keys.find("a", RS256)


async def test_an_unknown_kid_during_an_outage_is_temporary(jwks: JwksServer):
    """It may be the new key: neither accepted nor called wrong, and tried soon again."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.status = 503
    with pytest.raises(KeysUnavailable) as caught:
        await keys.find("a", RS256)
    assert caught.value.headers["Retry-After"] == "5"
    assert caught.value.status == 503

    jwks.status, jwks.keys = 200, [rsa_jwk("a")]
    clock.advance(3)

    assert await keys.find("a", RS256)


async def test_a_cancelled_fetch_is_an_attempt_and_frees_the_way(jwks: JwksServer):
    """Clients that hang up cannot cause a fetch each, nor lock out the rest."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    jwks.gate = asyncio.Event()
    first = asyncio.create_task(keys.find("a", RS256))
    while jwks.hits < 1:
        await asyncio.sleep(0)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    jwks.gate.set()

    with pytest.raises(KeysUnavailable):
        await keys.find("a", RS256)
    clock.advance(3)
    assert await keys.find("a", RS256)
    assert jwks.hits == 2


BROKEN: dict[str, dict[str, Any]] = {
    "not found": {"status": 404},
    "no JSON": {"body": b"<html>"},
    "no keys": {"body": b"{}"},
    "keys of another shape": {"body": b'{"keys": {"a": 1}}'},
    "members of another shape": {"body": b'{"keys": ["a"]}'},
    "too large": {"body": b'{"keys": []}' + b" " * module.MAX_JWKS_BYTES},
    "a redirect": {"status": 302, "head": "Location: https://example.com/\r\n"},
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_answer_counts_as_an_outage(jwks: JwksServer, name: str):
    """It replaces nothing that was known."""
    clock = FakeClock()
    keys = JwksKeys(jwks.url, clock=clock)
    jwks.keys = [rsa_jwk("a")]
    await keys.find("a", RS256)

    vars(jwks).update(BROKEN[name])
    clock.advance(601)

    assert await keys.find("a", RS256)
    with pytest.raises(KeysUnavailable):
        await keys.find("b", RS256)
    assert jwks.hits == 2


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1/", "https://", "nonsense", "http://[", "a:b\n"]
)
async def test_an_unreachable_url_is_an_outage(url: str):
    """So is one that is none."""
    with pytest.raises(KeysUnavailable):
        await JwksKeys(url, clock=FakeClock()).find("a", RS256)


async def test_a_silent_url_is_an_outage(jwks: JwksServer, monkeypatch: pytest.MonkeyPatch):
    """The wait is bounded as a whole."""
    monkeypatch.setattr(module, "FETCH_TIMEOUT_S", 0.05)
    jwks.gate = asyncio.Event()

    with pytest.raises(KeysUnavailable):
        await JwksKeys(jwks.url, clock=FakeClock()).find("a", RS256)
    jwks.gate.set()


UNUSABLE: dict[str, dict[str, Any]] = {
    "for encryption": rsa_jwk("a", use="enc"),
    "not for verifying": rsa_jwk("a", key_ops=["encrypt"]),
    "key_ops of another shape": rsa_jwk("a", key_ops="verify"),
    "bound to another algorithm": rsa_jwk("a", alg="RS512"),
    "weak": rsa_jwk("a", bits=1024),
    "another curve": ec_jwk("a", p256=False),
    "symmetric": {"kty": "oct", "k": "c2VjcmV0", "kid": "a"},
    "RSA with a curve": rsa_jwk("a", crv="P-256"),
    "no kty": {"kid": "a"},
    "kty of another shape": rsa_jwk("a", kty=["RSA"]),
    "crv of another shape": ec_jwk("a", crv=7),
    "kid of another shape": rsa_jwk("a", kid=7),
    "modulus of another shape": rsa_jwk("a", n=7),
    "modulus missing": rsa_jwk("a", n=None),
    "not on the curve": ec_jwk("a", y=ec_jwk("b")["y"]),
}


@pytest.mark.parametrize("name", UNUSABLE)
async def test_keys_that_are_not_for_us_are_passed_over(jwks: JwksServer, name: str):
    """They are never used, and they do not spoil the others."""
    jwks.keys = [UNUSABLE[name], rsa_jwk("good", key_ops=["verify"], alg="RS256")]
    keys = JwksKeys(jwks.url, clock=FakeClock())

    assert await keys.find("a", RS256) is None
    assert await keys.find("a", ES256) is None
    assert await keys.find("good", RS256)


async def test_a_key_serves_its_own_algorithm_only(jwks: JwksServer):
    """The token does not choose."""
    jwks.keys = [rsa_jwk("a"), ec_jwk("b")]
    keys = JwksKeys(jwks.url, clock=FakeClock())

    assert await keys.find("a", ES256) is None
    assert await keys.find("b", RS256) is None


async def test_without_a_kid_the_only_key_fits(jwks: JwksServer):
    """Of two that would fit, neither is guessed."""
    clock = FakeClock()
    jwks.keys = [rsa_jwk("a", kid=None), ec_jwk("b"), ec_jwk("c")]
    keys = JwksKeys(jwks.url, clock=clock)

    assert await keys.find(None, RS256)
    assert await keys.find(None, ES256) is None


async def test_a_private_key_published_by_mistake_is_not_kept(jwks: JwksServer):
    """Only the public members are read."""
    jwks.keys = [{**rsa_jwk("a"), "d": "AQAB", "p": "AQAB"}]

    key = await JwksKeys(jwks.url, clock=FakeClock()).find("a", RS256)

    assert key is not None
    assert not hasattr(key.key, "private_numbers")
