"""Token requests, tokens, JWTs and their end, without a server."""

from __future__ import annotations

from typing import Any

import pytest

from infra.local.ably.clock import Clock
from infra.local.ably.keys_and_tokens.capability import Capability
from infra.local.ably.keys_and_tokens.keys import Grant, Key, Keyring
from infra.local.ably.keys_and_tokens.tokens import Tokens
from infra.local.ably.protocol import AblyError
from tests.support.ably_tokens import signed_jwt, signed_request

NOW_S = 1_700_000_000
KEY = Key("app.full", "s:e:cret", Capability.parse('{"*": ["*"], "a":["publish"]}'))
LASTING = Key("app.long", "secret", Capability.parse('{"a":["publish"]}'), is_revocable=False)


class Issuer:
    """Tokens of two keys at a time that stands still until it is moved."""

    def __init__(self) -> None:
        self.clock = Clock(lambda: NOW_S)
        self.tokens = Tokens(Keyring([KEY, LASTING]), self.clock)

    def issue(self, key: Key = KEY, **fields: Any) -> dict[str, Any]:
        request = signed_request(key.text, **({"timestamp": NOW_S * 1000} | fields))
        return self.tokens.issue(key.name, request, None)

    def grant(self, token: str) -> Grant | None:
        """The grant of the token. The None is for the type checker only."""
        return self.tokens.grant_of(token)

    def jwt(self, key: Key = KEY, **claims: Any) -> Grant:
        times = {"iat": NOW_S, "exp": NOW_S + 60}
        return self.tokens.grant_of(signed_jwt(key.text, **(times | claims)))


@pytest.fixture
def issuer() -> Issuer:
    return Issuer()


def code_of(act: Any) -> int:
    with pytest.raises(AblyError) as raised:
        act()
    return raised.value.code


def test_a_signed_request_is_a_token_with_what_it_asked_for(issuer: Issuer) -> None:
    """Without a `ttl` it is good for an hour."""
    details = issuer.issue(clientId="zoë", capability='{"a":["publish"]}')

    token = details.pop("token")
    assert details == {
        "keyName": "app.full",
        "issued": NOW_S * 1000,
        "expires": NOW_S * 1000 + 3_600_000,
        "capability": '{"a":["publish"]}',
        "clientId": "zoë",
    }
    grant = issuer.tokens.grant_of(token)
    assert (grant.client_id, grant.is_token) == ("zoë", True)


def test_a_capability_is_signed_as_received_and_shown_verbatim(issuer: Issuer) -> None:
    """The Python SDK signs it with spaces; without one, the key's own text is shown."""
    spaced = '{"b": ["subscribe"], "a": ["publish", "history"]}'

    assert issuer.issue(capability=spaced)["capability"] == spaced
    assert issuer.issue()["capability"] == KEY.capability.text


@pytest.mark.parametrize("changed", ["ttl", "capability", "clientId", "nonce"])
def test_a_request_that_was_changed_is_40101(issuer: Issuer, changed: str) -> None:
    """The mac covers every field."""
    request = signed_request(KEY.text, timestamp=NOW_S * 1000, ttl=1000, clientId="alice")
    forged = request | {changed: '{"*":["*"]}' if changed == "capability" else "9" * 16}

    assert code_of(lambda: issuer.tokens.issue(KEY.name, forged, None)) == 40101


def test_a_request_without_mac_needs_the_key_itself(issuer: Issuer) -> None:
    """Basic auth with another key is not enough."""
    own, other = Grant.of_key(KEY), Grant.of_key(LASTING)

    assert issuer.tokens.issue(KEY.name, {}, own)["keyName"] == KEY.name
    assert code_of(lambda: issuer.tokens.issue(KEY.name, {}, other)) == 40101
    assert code_of(lambda: issuer.tokens.issue(KEY.name, {}, None)) == 40101


def test_a_request_is_good_once(issuer: Issuer) -> None:
    """Somebody who has seen it cannot use it again."""
    request = signed_request(KEY.text, timestamp=NOW_S * 1000)
    issuer.tokens.issue(KEY.name, request, None)

    assert code_of(lambda: issuer.tokens.issue(KEY.name, request, None)) == 40105


@pytest.mark.parametrize("nonce", ["", "fifteen letters"])
def test_a_short_nonce_is_40105(issuer: Issuer, nonce: str) -> None:
    assert code_of(lambda: issuer.issue(nonce=nonce)) == 40105


@pytest.mark.parametrize("away_s", [-121, 121, 10**6])
def test_a_request_of_another_time_is_40104(issuer: Issuer, away_s: int) -> None:
    """Clocks may differ by two minutes."""
    assert code_of(lambda: issuer.issue(timestamp=(NOW_S + away_s) * 1000)) == 40104
    assert issuer.issue(timestamp=str((NOW_S + 119) * 1000))["token"]


@pytest.mark.parametrize(
    ("key", "ttl", "is_good"),
    [
        (KEY, "3600000", True),
        (KEY, 3_600_001, False),
        (LASTING, 86_400_000, True),
        (LASTING, 86_400_001, False),
        (KEY, 0, False),
        (KEY, "soon", False),
    ],
    ids=str,
)
def test_a_ttl_is_bounded_by_the_key(issuer: Issuer, key: Key, ttl: object, is_good: bool) -> None:
    """It is at most an hour where tokens can be revoked, else a day."""
    if is_good:
        assert issuer.issue(key, ttl=ttl)["expires"] == NOW_S * 1000 + int(str(ttl))
    else:
        assert code_of(lambda: issuer.issue(key, ttl=ttl)) == 40003


def test_a_token_ends_when_its_time_is_over(issuer: Issuer) -> None:
    token = issuer.issue(ttl=1000)["token"]

    issuer.clock.offset_ms = 999
    assert issuer.grant(token)
    issuer.clock.offset_ms = 1000
    assert code_of(lambda: issuer.tokens.grant_of(token)) == 40142


def test_a_token_of_an_earlier_run_is_one_to_renew(issuer: Issuer) -> None:
    """40143 makes the SDK ask for another. A token of an unknown app is 40101."""
    token = issuer.issue()["token"]
    issuer.tokens.forget()

    assert code_of(lambda: issuer.tokens.grant_of(token)) == 40143
    assert code_of(lambda: issuer.tokens.grant_of("other.token")) == 40101


def test_expiring_all_spares_those_that_come_later(issuer: Issuer) -> None:
    """This holds within one second too, though a JWT has its time in seconds."""
    before, jwt = issuer.issue()["token"], signed_jwt(KEY.text, iat=NOW_S, exp=NOW_S + 9)
    issuer.tokens.grant_of(jwt)

    issuer.tokens.expire_all()

    assert code_of(lambda: issuer.tokens.grant_of(before)) == 40142
    assert code_of(lambda: issuer.tokens.grant_of(jwt)) == 40142
    assert issuer.grant(issuer.issue()["token"])
    assert issuer.grant(signed_jwt(KEY.text, iat=NOW_S, exp=NOW_S + 10))


def test_a_jwt_says_who_and_what(issuer: Issuer) -> None:
    """Without a capability it has the key's."""
    claims: dict[str, Any] = {
        "x-ably-clientId": "alice",
        "x-ably-capability": '{"a":["subscribe"]}',
        "x-ably-revocation-key": "staff",
    }
    grant = issuer.jwt(**claims)

    assert (grant.client_id, grant.revocation_key) == ("alice", "staff")
    assert grant.capability.allows("subscribe", "a")
    assert not grant.capability.allows("publish", "a")
    assert issuer.jwt(LASTING).capability == LASTING.capability


@pytest.mark.parametrize(
    "token",
    [
        "a.b.c",
        "..",
        signed_jwt("app.full:wrong"),
        signed_jwt(KEY.text, exp=None),
        signed_jwt(KEY.text, exp=float("nan")),
        signed_jwt(KEY.text, iat=float("inf")),
        signed_jwt(KEY.text) + "x",
    ],
)
def test_a_jwt_that_is_none_is_40144(issuer: Issuer, token: str) -> None:
    """It is not base64 or JSON, has a wrong signature, no end or bad times, or was changed."""
    assert code_of(lambda: issuer.tokens.grant_of(token)) == 40144


@pytest.mark.parametrize(("name", "status"), [("none.full", 404), ("app.none", 401)])
def test_a_jwt_of_an_unknown_app_or_key_is_40400(issuer: Issuer, name: str, status: int) -> None:
    """A code of 4014x would make ably-js ask for the same token again without end."""
    with pytest.raises(AblyError) as raised:
        issuer.tokens.grant_of(signed_jwt(f"{name}:secret"))

    assert (raised.value.code, raised.value.status) == (40400, status)


@pytest.mark.parametrize("client_id", [5, True, ["alice"]], ids=str)
def test_a_client_id_that_is_no_text_is_40012(issuer: Issuer, client_id: object) -> None:
    """This holds for JWTs and for token requests."""
    claims: dict[str, Any] = {"x-ably-clientId": client_id}

    assert code_of(lambda: issuer.jwt(**claims)) == 40012
    assert code_of(lambda: issuer.issue(clientId=client_id)) == 40012


@pytest.mark.parametrize(
    "capability", ['{"*":["publish_"]}', '{"*":["*","publish"]}', '{"*":[]}', "nonsense"]
)
def test_a_request_for_what_is_no_capability_is_40000(issuer: Issuer, capability: str) -> None:
    assert code_of(lambda: issuer.issue(capability=capability)) == 40000


def test_a_jwt_ends_too(issuer: Issuer) -> None:
    assert code_of(lambda: issuer.jwt(exp=NOW_S)) == 40142


@pytest.mark.parametrize(
    ("target", "is_hit"),
    [
        ("clientId:alice", True),
        ("clientId:bob", False),
        ("channel:a", True),
        ("channel:*", False),
        ("revocationKey:alice", False),
    ],
)
def test_a_revocation_hits_whom_it_names(issuer: Issuer, target: str, is_hit: bool) -> None:
    """It hits tokens that were issued before it, not later ones."""
    token = issuer.issue(clientId="alice", capability='{"a":["*"]}')["token"]
    issuer.clock.offset_ms = 1

    body = {"targets": [target]}
    issuer.tokens.revocations.revoke(Grant.of_key(KEY), body, issuer.clock.now_ms())

    if is_hit:
        assert code_of(lambda: issuer.tokens.grant_of(token)) == 40141
        assert issuer.grant(issuer.issue(clientId="alice")["token"])
    else:
        assert issuer.grant(token)


@pytest.mark.parametrize(
    ("grant", "targets", "code"),
    [
        (Grant(KEY, KEY.capability, None, 0, 1), ["clientId:a"], 40162),
        (Grant.of_key(LASTING), ["clientId:a"], 40163),
        (Grant.of_key(KEY), [], 40000),
        (Grant.of_key(KEY), ["clientId:a"] * 101, 40000),
        (Grant.of_key(KEY), None, 40000),
    ],
    ids=["token", "key", "none", "many", "missing"],
)
def test_who_may_not_revoke_or_says_not_whom_is_refused(
    issuer: Issuer, grant: Grant, targets: object, code: int
) -> None:
    def revoke() -> object:
        return issuer.tokens.revocations.revoke(grant, {"targets": targets}, NOW_S * 1000)

    assert code_of(revoke) == code
