"""Tokens of the team's own identity provider."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from api.problems import TokenExpired, Unauthorized
from api.security.jwks import JwksKeys
from api.security.principal import CredentialKind
from api.security.team_tokens import Binding, TeamTokens
from tests.unit.security.jwks_server import (
    JwksServer,
    ec_jwk,
    es256,
    rs256,
    rsa_jwk,
    rsa_key,
)
from tests.unit.security.support import NOW, FakeClock

ISSUER, AUDIENCE = "https://id.example.com/", "millrace"
GOOD: dict[str, Any] = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "alice",
    "exp": NOW + 60,
    "iat": NOW,
}


def team(jwks: JwksServer, *, issuer: str | None = ISSUER, audience: str | None = AUDIENCE):
    clock = FakeClock()
    jwks.keys = jwks.keys or [rsa_jwk("rsa"), ec_jwk("ec")]
    keys = JwksKeys(jwks.url, clock=clock)
    binding = Binding("aud", frozenset({audience})) if audience else None
    return TeamTokens(keys, issuer=issuer, binding=binding, clock=clock)


def without(claim: str) -> dict[str, Any]:
    return {name: value for name, value in GOOD.items() if name != claim}


def hmac_with_public_key(claims: dict[str, Any]) -> str:
    """The classic confusion: HS256 keyed with the text of the RSA public key."""
    pem = rsa_key("rsa").public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    parts = [{"alg": "HS256", "typ": "JWT", "kid": "rsa"}, claims]
    body = b".".join(_b64(json.dumps(part).encode()) for part in parts)
    return (body + b"." + _b64(hmac.digest(pem, body, hashlib.sha256))).decode()


def relabelled(token: str, **header: Any) -> str:
    """`token` with its header changed and its signature kept."""
    changed = {**jwt.get_unverified_header(token), **header}
    return ".".join([_b64(json.dumps(changed).encode()).decode(), *token.split(".")[1:]])


def nested(depth: int) -> str:
    """A header that needs no signature to be sent."""
    return _b64(b'{"alg":"RS256","kid":' + b"[" * depth + b"]" * depth + b"}").decode()


def _b64(raw: bytes) -> bytes:
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


@pytest.mark.parametrize("sign", [rs256, es256])
async def test_both_algorithms_are_accepted(jwks: JwksServer, sign: Any):
    """With roles and grants as in our own sessions."""
    claims = {**GOOD, "roles": ["editor"], "grants": {"read": ["job:*"]}}
    token = sign("rsa" if sign is rs256 else "ec", claims)

    who = await team(jwks).verify(token, via=CredentialKind.COOKIE)

    assert (who.id, sorted(who.roles), who.expires_at) == ("alice", ["editor"], NOW + 60)
    assert [str(p) for p in who.read] == ["job:*"]
    assert who.via is CredentialKind.COOKIE


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", ""])
async def test_access_token_types_are_accepted(jwks: JwksServer, typ: str):
    """RFC 9068's type, the usual one, and none."""
    assert (await team(jwks).verify(rs256("rsa", GOOD, typ=typ))).id == "alice"


async def test_one_of_several_audiences_is_enough(jwks: JwksServer):
    """As the standard has it."""
    assert await team(jwks).verify(rs256("rsa", {**GOOD, "aud": ["other", AUDIENCE]}))


async def test_without_settings_issuer_and_audience_are_not_asked(jwks: JwksServer):
    """In local mode a token without them will do."""
    tokens = team(jwks, issuer=None, audience=None)

    assert await tokens.verify(rs256("rsa", {"sub": "alice", "exp": NOW + 60}))
    assert await tokens.verify(rs256("rsa", GOOD))


FORGED: dict[str, str] = {
    "signed by another key": rs256("rsa", GOOD).rpartition(".")[0]
    + "."
    + rs256("other", GOOD, kid="rsa").rpartition(".")[2],
    "unknown key": rs256("other", GOOD),
    "HS256 with the public key": hmac_with_public_key(GOOD),
    "alg none": jwt.encode(GOOD, "", "none"),
    "alg none with kid": jwt.encode(GOOD, "", "none", headers={"kid": "rsa"}),
    "RS256 called none": relabelled(rs256("rsa", GOOD), alg="none"),
    "RS256 called ES256": relabelled(rs256("rsa", GOOD), alg="ES256"),
    "RS384": jwt.encode(GOOD, rsa_key("rsa"), "RS384", headers={"kid": "rsa"}),
    "PS256": jwt.encode(GOOD, rsa_key("rsa"), "PS256", headers={"kid": "rsa"}),
    "alg of another shape": relabelled(rs256("rsa", GOOD), alg=["RS256"]),
    "a key of its own": rs256("other", GOOD, kid="rsa", jwk=rsa_jwk("other")),
    "a critical extension": relabelled(rs256("rsa", GOOD), crit=["b64"], b64=False),
    "a logout token": rs256("rsa", GOOD, typ="logout+jwt"),
    "a DPoP proof": rs256("rsa", GOOD, typ="dpop+jwt"),
    "an ID token": rs256("rsa", {**GOOD, "typ": "ID"}),
    "a refresh token": rs256("rsa", {**GOOD, "typ": "Refresh"}),
    "an untyped logout token": rs256("rsa", {**GOOD, "events": {}}),
    "typ of another shape": relabelled(rs256("rsa", GOOD), typ=7),
    "kid of another shape": relabelled(rs256("rsa", GOOD), kid=7),
    "tampered": rs256("rsa", GOOD)[:-5] + "AAAAA",
    "another issuer": rs256("rsa", {**GOOD, "iss": "https://evil.example/"}),
    "no issuer": rs256("rsa", without("iss")),
    "another audience": rs256("rsa", {**GOOD, "aud": "other"}),
    "no audience": rs256("rsa", without("aud")),
    "no subject": rs256("rsa", without("sub")),
    "an empty subject": rs256("rsa", {**GOOD, "sub": ""}),
    "a subject with a line break": rs256("rsa", {**GOOD, "sub": "alice\n"}),
    "an expiry of 400 digits": rs256("rsa", {**GOOD, "exp": 10**400}),
    "a header nested deeply": f"{nested(1000)}.e30.",
    "claims nested deeply": jwt.PyJWS().encode(
        b'{"x":' + b"[" * 2800 + b"]" * 2800 + b"}",
        rsa_key("rsa"),
        "RS256",
        headers={"kid": "rsa"},
    ),
    "no expiry": rs256("rsa", without("exp")),
    "an expiry without end": rs256("rsa", {**GOOD, "exp": float("inf")}),
    "not valid yet": rs256("rsa", {**GOOD, "nbf": NOW + 6}),
    "bad grants": rs256("rsa", {**GOOD, "grants": {"read": "**"}}),
    "no JWT": "abc",
    "empty": "",
    "dots": "..",
}


@pytest.mark.parametrize("name", FORGED)
async def test_a_forged_team_token_is_refused_without_a_word_of_it(jwks: JwksServer, name: str):
    """Each is unauthorized, and the error carries no part of the token."""
    with pytest.raises(Unauthorized) as caught:
        await team(jwks).verify(FORGED[name])

    told = f"{caught.value}{caught.value.detail}{caught.value.headers}"
    assert not any(part in told for part in FORGED[name].split(".") if len(part) > 10)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RS384", "`alg`"),
        ("alg none", "`alg`"),
        ("a DPoP proof", "`typ`"),
        ("an ID token", "claim `typ`"),
        ("an untyped logout token", "`events`"),
        ("unknown key", "`kid`"),
        ("tampered", "signature"),
        ("another issuer", "`iss` does not fit"),
        ("no issuer", "no claim `iss`"),
        ("another audience", "`aud` does not fit"),
        ("no audience", "no claim `aud`"),
        ("no subject", "`sub`"),
        ("no expiry", "`exp`"),
        ("an expiry of 400 digits", "`exp`"),
        ("not valid yet", "not valid yet"),
        ("bad grants", "`grants`"),
    ],
)
async def test_a_refusal_names_what_does_not_fit(jwks: JwksServer, name: str, reason: str):
    """Or nobody could find the setting that is wrong."""
    with pytest.raises(Unauthorized, match=reason):
        await team(jwks).verify(FORGED[name])


async def test_an_expired_team_token_is_told_apart(jwks: JwksServer):
    """So that the client renews it instead of signing out."""
    with pytest.raises(TokenExpired):
        await team(jwks).verify(rs256("rsa", {**GOOD, "exp": NOW}))


@pytest.mark.parametrize("name", ["HS256 with the public key", "alg none", "RS384", "a DPoP proof"])
async def test_a_refused_header_never_reaches_the_url(jwks: JwksServer, name: str):
    """Such tokens cost nobody a fetch."""
    with pytest.raises(Unauthorized):
        await team(jwks).verify(FORGED[name])

    assert jwks.hits == 0
