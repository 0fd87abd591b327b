"""Tokens as identity providers make them, with the settings that the documentation gives."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.problems import TokenExpired, Unauthorized
from api.security.authenticator import Credentials
from api.security.principal import Principal
from api.security.wiring import build_security
from api.settings import Settings, SettingsError
from api.system import System
from api.telemetry.meter import CommandMeter
from api.upstash import UpstashClient
from tests.unit.security.jwks_server import JwksServer, rs256, rsa_jwk
from tests.unit.security.support import NOW, SECRET, FakeClock, counting_ids

PAGE = Path(__file__).parents[3] / "docs" / "identity.md"
BASE = {
    "UPSTASH_REDIS_REST_URL": "https://127.0.0.1:1",
    "UPSTASH_REDIS_REST_TOKEN": "t",
    "MILLRACE_SECRET": SECRET,
}
AGES: dict[str, Any] = {"iat": NOW - 30, "exp": NOW + 30}


@dataclass(frozen=True)
class Provider:
    """What a provider's token holds, as its documentation shows it, and who that is here."""

    name: str
    claims: Mapping[str, Any]
    id: str
    roles: frozenset[str]
    bound_by: str
    header: Mapping[str, Any]


AUTH0 = Provider(
    "Auth0",
    {
        "iss": "https://tenant.auth0.com/",
        "sub": "auth0|507f1f77bcf86cd799439011",
        "aud": ["https://api.example.com", "https://tenant.auth0.com/userinfo"],
        "azp": "my_client_id",
        "scope": "openid profile read:patients",
        "permissions": ["read:patients"],
        "https://example.com/roles": ["editor"],
    },
    "auth0~7C507f1f77bcf86cd799439011",
    frozenset({"editor"}),
    "aud",
    {"typ": "JWT"},
)
AUTH0_RFC9068 = Provider(
    "Auth0",
    {
        "iss": "https://tenant.auth0.com/",
        "sub": "google-oauth2|100203",
        "aud": ["https://api.example.com", "https://tenant.auth0.com/userinfo"],
        "client_id": "my_client_id",
        "jti": "73WakrfVbNJBaAmhQtEeDv",
        "scope": "openid profile",
    },
    "google-oauth2~7C100203",
    frozenset(),
    "aud",
    {"typ": "at+jwt"},
)
CLERK = Provider(
    "Clerk",
    {
        "azp": "https://app.example.com",
        "fva": [7, -1],
        "iss": "https://your-site.clerk.accounts.dev",
        "nbf": NOW - 40,
        "sid": "sess_2cnmC8kWZJbHnoIyCYBTp9NbWYe",
        "sts": "active",
        "sub": "user_2cnmBKCSNeTzBGPvHUCFEBvrjKi",
        "v": 2,
        "pla": "u:free",
        "fea": "u:chat",
        "o": {"id": "org_123", "slg": "org-slug", "rol": "admin", "per": "manage", "fpm": "3"},
        "metadata": {"roles": ["editor"]},
    },
    "user_2cnmBKCSNeTzBGPvHUCFEBvrjKi",
    frozenset({"editor"}),
    "azp",
    {"typ": "JWT", "cat": "cl_B7d4PD111AAA"},
)
COGNITO = Provider(
    "Cognito",
    {
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "device_key": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "cognito:groups": ["editor", "testers"],
        "iss": "https://cognito-idp.region.amazonaws.com/pool",
        "version": 2,
        "client_id": "app-client-id",
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "event_id": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "token_use": "access",
        "scope": "phone openid profile email",
        "auth_time": NOW - 30,
        "jti": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
        "username": "my-test-user",
    },
    "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
    frozenset({"editor", "testers"}),
    "client_id",
    {"typ": ""},
)
FIREBASE = Provider(
    "Firebase",
    {
        "name": "Alice",
        "roles": ["editor"],
        "iss": "https://securetoken.google.com/project",
        "aud": "project",
        "auth_time": NOW - 30,
        "user_id": "zPKBVCIWzEaZnBjmZvQ6SxXFvzq1",
        "sub": "zPKBVCIWzEaZnBjmZvQ6SxXFvzq1",
        "email": "alice@example.com",
        "email_verified": True,
        "firebase": {
            "identities": {"email": ["alice@example.com"]},
            "sign_in_provider": "password",
        },
    },
    "zPKBVCIWzEaZnBjmZvQ6SxXFvzq1",
    frozenset({"editor"}),
    "aud",
    {"typ": "JWT"},
)
KEYCLOAK = Provider(
    "Keycloak",
    {
        "jti": "onrtac:d58f5dc8-fd8f-462b-8a19-716f8f83985b",
        "iss": "https://host/realms/realm",
        "aud": "account",
        "sub": "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
        "typ": "Bearer",
        "azp": "client",
        "sid": "2a88c258-f73a-4103-b862-e1fbd8f4e04e",
        "acr": "1",
        "allowed-origins": ["https://app.example.com"],
        "realm_access": {"roles": ["offline_access", "editor"]},
        "resource_access": {"account": {"roles": ["view-profile"]}},
        "scope": "email profile",
        "email_verified": True,
        "preferred_username": "alice",
    },
    "36fa0f91-f94d-4a0c-afed-6b7d952e47da",
    frozenset({"offline_access", "editor"}),
    "azp",
    {"typ": "JWT"},
)
PROVIDERS = [AUTH0, AUTH0_RFC9068, CLERK, COGNITO, FIREBASE, KEYCLOAK]


def documented(name: str) -> dict[str, str]:
    """The settings under the provider's heading, with its placeholders as in our tokens."""
    section = PAGE.read_text().partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    block = section.partition("```ini\n")[2].partition("```")[0]
    lines = (line.partition("=") for line in block.splitlines())
    return {key: re.sub("<([a-z-]+)>", r"\1", value) for key, _, value in lines}


class Gate:
    """Who a token is with the settings of `environment`; its keys are those of `jwks`."""

    def __init__(
        self, patch: pytest.MonkeyPatch, jwks: JwksServer, environment: Mapping[str, str]
    ) -> None:
        # In local mode, because the keys are served without TLS here.
        local = {**BASE, **environment, "MILLRACE_ENV": "local", "MILLRACE_JWKS_URL": jwks.url}
        for key, value in local.items():
            patch.setenv(key, value)
        jwks.keys = [rsa_jwk("rsa")]
        clock = FakeClock()
        redis = UpstashClient("http://127.0.0.1:1", "t", timeout_s=1, meter=CommandMeter())
        system = System(clock, clock, random.Random(1), counting_ids())
        self._authenticator = build_security(Settings.read(), redis, system).authenticator

    async def who(self, claims: Mapping[str, Any], **header: Any) -> Principal:
        token = rs256("rsa", {**AGES, **claims}, **header)
        given = Credentials("GET", authorization=f"Bearer {token}")
        return await self._authenticator.authenticate(given)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
async def test_the_documented_settings_take_the_providers_token(
    monkeypatch: pytest.MonkeyPatch, jwks: JwksServer, provider: Provider
):
    """With its user and its roles."""
    gate = Gate(monkeypatch, jwks, documented(provider.name))

    who = await gate.who(provider.claims, **provider.header)

    assert (who.id, who.roles) == (provider.id, provider.roles)
    assert not who.is_admin


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
def test_the_documented_settings_start_in_production(
    monkeypatch: pytest.MonkeyPatch, provider: Provider
):
    """They are strong enough."""
    for key, value in {**BASE, **documented(provider.name)}.items():
        monkeypatch.setenv(key, value)

    assert Settings.read().jwt_bound_by == provider.bound_by


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
async def test_a_token_for_another_application_is_refused_with_the_claim(
    monkeypatch: pytest.MonkeyPatch, jwks: JwksServer, provider: Provider
):
    """Changed or missing, whichever claim binds it; and without its value."""
    gate = Gate(monkeypatch, jwks, documented(provider.name))
    bound_by = provider.bound_by
    without = {name: value for name, value in provider.claims.items() if name != bound_by}

    for claims in (without, {**without, bound_by: "other-app"}, {**without, bound_by: [{}, 7]}):
        with pytest.raises(Unauthorized, match=f"`{bound_by}`.*MILLRACE_JWT_AUDIENCE") as caught:
            await gate.who(claims)
        assert "other-app" not in str(caught.value)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda one: one.name)
async def test_a_token_of_another_issuer_is_refused_with_the_claim(
    monkeypatch: pytest.MonkeyPatch, jwks: JwksServer, provider: Provider
):
    """A slash too many is another issuer."""
    gate = Gate(monkeypatch, jwks, documented(provider.name))

    with pytest.raises(Unauthorized, match=r"`iss`.*MILLRACE_JWT_ISSUER"):
        await gate.who({**provider.claims, "iss": provider.claims["iss"] + "/"})
    with pytest.raises(TokenExpired):
        await gate.who({**provider.claims, "exp": NOW})


@pytest.mark.parametrize(
    ("claims", "roles"),
    [
        ({"a.b": ["dotted"], "a": {"b": ["nested"]}}, {"dotted"}),
        ({"a": {"b": ["nested"]}}, {"nested"}),
        ({"a": {"b": "one"}}, {"one"}),
        ({"a": {"b": None}}, set()),
        ({"a": "text"}, set()),
        ({"a": ["list"]}, set()),
        ({}, set()),
    ],
)
async def test_a_name_with_dots_is_a_claim_or_else_a_path(
    monkeypatch: pytest.MonkeyPatch, jwks: JwksServer, claims: dict[str, Any], roles: set[str]
):
    """Where it leads nowhere there are no roles."""
    gate = Gate(monkeypatch, jwks, {"MILLRACE_JWT_ROLES_CLAIM": "a.b"})

    assert (await gate.who({"sub": "alice", **claims})).roles == roles


@pytest.mark.parametrize("roles", [{"admin": True}, 7, [7], True])
async def test_roles_of_another_shape_make_the_token_invalid(
    monkeypatch: pytest.MonkeyPatch, jwks: JwksServer, roles: object
):
    """Doubt is an error, and the detail names the claim."""
    gate = Gate(monkeypatch, jwks, {"MILLRACE_JWT_ROLES_CLAIM": "groups"})

    with pytest.raises(Unauthorized, match="groups"):
        await gate.who({"sub": "alice", "groups": roles})


async def test_another_claim_can_be_the_user(monkeypatch: pytest.MonkeyPatch, jwks: JwksServer):
    """Then `sub` means nothing, and a token without that claim is nobody's."""
    gate = Gate(monkeypatch, jwks, {"MILLRACE_JWT_USER_CLAIM": "identity.email"})

    assert (await gate.who({"sub": "x", "identity": {"email": "a@b.c"}})).id == "a~40b.c"
    with pytest.raises(Unauthorized, match=r"identity\.email"):
        await gate.who({"sub": "x"})


@pytest.mark.parametrize(
    "weak",
    [{}, {"MILLRACE_JWT_BOUND_BY": "azp"}, {"MILLRACE_JWT_AUDIENCE": " , "}],
    ids=["nothing", "a claim without a value", "a blank audience"],
)
def test_production_demands_that_something_binds_the_token(
    monkeypatch: pytest.MonkeyPatch, weak: dict[str, str]
):
    """Or the tokens of every application of the provider would be good here."""
    for key, value in {**BASE, "MILLRACE_JWKS_URL": "https://id.example/keys", **weak}.items():
        monkeypatch.setenv(key, value)

    with pytest.raises(SettingsError, match="MILLRACE_JWT_AUDIENCE"):
        Settings.read()
