"""Sessions: what is accepted, and all that is not."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Mapping
from typing import Any

import jwt
import pytest

from api.problems import TokenExpired, Unauthorized
from api.security.keys import KeyPurpose, derive_key
from api.security.principal import CredentialKind
from api.security.tokens import AUDIENCE
from api.security.users import user_segment
from tests.unit.security.support import NOW, SECRET, FakeClock, session_tokens

KEY = SECRET.encode()
GOOD: dict[str, object] = {
    "aud": AUDIENCE,
    "sub": "alice",
    "roles": ["editor"],
    "grants": {"read": ["job:*"]},
    "iat": NOW,
    "exp": NOW + 60,
    "jti": "x",
}


def signed(change: Mapping[str, Any] | None = None, *, without: str = "", **options: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **(change or {})}.items() if name != without}
    options = {"key": KEY, "algorithm": "HS256", **options}
    return jwt.encode(claims, **options)


def test_a_session_round_trips():
    """What was issued is what is verified."""
    tokens = session_tokens()
    token = tokens.issue(
        "alice", roles=["b", "a"], grants={"read": ["job:*"], "publish": ["room:**"]}, ttl_s=60
    )

    who = tokens.verify(token, via=CredentialKind.COOKIE)

    assert (who.id, sorted(who.roles), who.expires_at) == ("alice", ["a", "b"], NOW + 60)
    assert [str(p) for p in who.read] == ["job:*"]
    assert [str(p) for p in who.publish] == ["room:**"]
    assert who.via is CredentialKind.COOKIE
    assert who.ticket_topics is None


def test_every_session_has_its_own_id():
    """Two sessions of one moment differ."""
    tokens = session_tokens()

    assert tokens.issue("alice") != tokens.issue("alice")


def test_the_baseline_of_the_forgeries_is_good():
    """Or the table below would prove nothing."""
    assert session_tokens().verify(signed()).id == "alice"


@pytest.mark.parametrize("headers", [{"typ": ""}, {"kid": "x"}, {"typ": "JWT"}])
def test_a_teams_own_back_end_can_sign_sessions(headers: dict[str, str]):
    """Any JWT library with MILLRACE_SECRET makes a session of `sub` and `exp`."""
    token = jwt.encode({"sub": "alice", "exp": NOW + 60}, SECRET, "HS256", headers=headers)

    who = session_tokens().verify(token)

    assert (who.id, who.roles, who.read, who.publish) == ("alice", frozenset(), (), ())


FORGED = {
    "another secret": signed(key=(SECRET + "x").encode()),
    "the ticket key": signed(key=derive_key(SECRET, KeyPurpose.TICKET)),
    "alg none": signed(key="", algorithm="none"),
    "alg none, our signature": signed(key="", algorithm="none") + signed().rpartition(".")[2],
    "HS512": signed(key=KEY * 2, algorithm="HS512"),
    "another typ": signed(headers={"typ": "ticket+jwt"}),
    "an unknown header": signed(headers={"crit": ["exp"]}),
    "a key of its own": signed(headers={"jwk": {"kty": "oct", "k": "eA"}}),
    "another audience": signed({"aud": "millrace:ticket"}),
    "a list of audiences": signed({"aud": [AUDIENCE, "other"]}),
    "no subject": signed(without="sub"),
    "a number as subject": signed({"sub": 7}),
    "an empty subject": signed({"sub": ""}),
    "no expiry": signed(without="exp"),
    "expiry as text": signed({"exp": str(NOW + 60)}),
    "expiry as boolean": signed({"exp": True}),
    "expiry of 400 digits": signed({"exp": 10**400}),
    "issued 400 digits ago": signed({"iat": -(10**400)}),
    "expiry null": signed({"exp": None}),
    "expiry without end": signed({"exp": float("inf")}),
    "expiry not a number": signed({"exp": float("nan")}),
    "not valid yet": signed({"nbf": NOW + 6}),
    "nbf as boolean": signed({"nbf": True}),
    "nbf as text": signed({"nbf": "soon"}),
    "issued in the future": signed({"iat": NOW + 6}),
    "roles as text": signed({"roles": "admin"}),
    "roles as numbers": signed({"roles": [1]}),
    "roles as object": signed({"roles": {"admin": True}}),
    "grants as list": signed({"grants": ["**"]}),
    "grants null": signed({"grants": None}),
    "unknown grant": signed({"grants": {"read": [], "write": ["**"]}}),
    "grant as text": signed({"grants": {"read": "**"}}),
    "bad pattern": signed({"grants": {"publish": ["job*"]}}),
    "no dots": "abc",
    "empty": "",
    "one part": signed().partition(".")[0] + ".",
    "two parts": signed().rpartition(".")[0],
    "swapped payload": signed().split(".")[0]
    + "."
    + signed({"sub": "bob"}).split(".")[1]
    + "."
    + signed().split(".")[2],
    "no signature": signed().rpartition(".")[0] + ".",
    "padded signature": signed() + "=",
    "trailing space": signed() + " ",
    "not ASCII": signed() + "é",
    "surrogate": signed() + "\udc80",
}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_session_is_refused_without_a_word_of_it(name: str):
    """Each is unauthorized, and the error carries no part of the token."""
    with pytest.raises(Unauthorized) as caught:
        session_tokens().verify(FORGED[name])

    told = f"{caught.value}{caught.value.detail}{caught.value.headers}"
    assert not any(part in told for part in FORGED[name].split(".") if len(part) > 10)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("user", ["a:b", "*", "**", "a b", "ä", "a" * 65, "a/b"])
def test_a_user_id_that_could_forge_topics_is_escaped(user: str):
    """The caller is one segment, so that no other user's topic can be reached."""
    who = session_tokens().verify(session_tokens().issue(user))

    assert who.id == user_segment(user)
    assert who.id != user


@pytest.mark.parametrize("user", ["", "alice\n", "a\x00", "\u202eecila", "a" * 256])
def test_a_user_id_that_nobody_can_have_is_refused(user: str):
    """Neither issued nor verified, and the detail names the rule."""
    with pytest.raises(Unauthorized, match="sub"):
        session_tokens().verify(signed({"sub": user}))
    with pytest.raises(Unauthorized, match="sub"):
        session_tokens().issue(user)


def test_a_session_ends_at_its_expiry():
    """Good up to the very moment, and told apart from forged afterwards."""
    clock = FakeClock()
    tokens = session_tokens(clock)
    token = tokens.issue("alice", ttl_s=60)

    clock.advance(59.9)
    assert tokens.verify(token).id == "alice"
    clock.advance(0.1)
    with pytest.raises(TokenExpired):
        tokens.verify(token)


def test_an_expired_forgery_is_not_called_expired():
    """The signature comes first, so nothing is said about a forged token's claims."""
    with pytest.raises(Unauthorized) as caught:
        session_tokens().verify(signed({"exp": NOW - 1}, key=b"y" * 32))

    assert not isinstance(caught.value, TokenExpired)


def test_a_clock_five_seconds_ahead_is_tolerated():
    """Hosts differ a little."""
    assert session_tokens().verify(signed({"nbf": NOW + 5, "iat": NOW + 5})).id == "alice"


@pytest.mark.parametrize("absent", ["roles", "grants", "iat", "jti"])
def test_optional_claims_may_be_absent(absent: str):
    """Their absence grants nothing."""
    who = session_tokens().verify(signed(without=absent))

    assert who.id == "alice"
    assert who.publish == ()


def test_what_verify_would_refuse_is_not_issued():
    """A mistake shows where the token is made."""
    with pytest.raises(Unauthorized, match="grants"):
        session_tokens().issue("alice", grants={"read": ["job*"]})
    with pytest.raises(Unauthorized, match="grants"):
        session_tokens().issue("alice", grants={"admin": ["**"]})


def test_sessions_never_load_cryptography():
    """It would cost 120 ms of CPU in every cold start."""
    script = """
        import sys
        from api.security.wiring import build_security
        from api.security.tokens import SessionTokens
        tokens = SessionTokens("x" * 32, clock=lambda: 0.0, new_id=lambda: "id")
        assert tokens.verify(tokens.issue("alice")).id == "alice"
        assert "cryptography" not in sys.modules
    """

    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
