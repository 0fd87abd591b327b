"""Our compact tokens are plain JWTs, and nothing but our own are accepted."""

from __future__ import annotations

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.problems import Unauthorized
from api.security.keys import KeyPurpose, derive_key
from api.security.signing import MAX_TOKEN_CHARS, Signer
from tests.unit.security.support import SECRET

KEY = SECRET.encode()
values = st.one_of(st.text(), st.integers(-(2**53), 2**53), st.booleans(), st.lists(st.text()))
claim_sets = st.dictionaries(st.text(min_size=1).map(lambda name: f"x-{name}"), values)


def signer() -> Signer:
    return Signer(KEY, kind="JWT")


@given(claim_sets)
def test_pyjwt_reads_what_we_sign(claims: dict[str, object]):
    """Our tokens are standard HS256 JWTs."""
    token = signer().sign(claims)

    assert jwt.decode(token, KEY, algorithms=["HS256"]) == claims
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT"}


@given(claim_sets)
def test_we_read_what_pyjwt_signs(claims: dict[str, object]):
    """A standard library elsewhere can make our tokens."""
    assert signer().claims(jwt.encode(claims, KEY, "HS256")) == claims


@given(st.integers(0), st.characters(codec="ascii"))
def test_no_character_of_a_token_can_be_changed(position: int, character: str):
    """Any other text, in whatever spelling, is refused."""
    token = signer().sign({"sub": "alice"})
    at = position % len(token)
    changed = token[:at] + character + token[at + 1 :]

    if changed == token:
        assert signer().claims(changed)
        return
    with pytest.raises(Unauthorized):
        signer().claims(changed)


@given(st.text())
def test_arbitrary_text_is_refused_and_never_crashes(text: str):
    """Whatever arrives is at most unauthorized."""
    with pytest.raises(Unauthorized):
        signer().claims(text)
    with pytest.raises(Unauthorized):
        signer().claims(signer().sign({})[:20] + "." + text)


@pytest.mark.parametrize("claims", [[], "text", 7, None])
def test_claims_must_be_an_object(claims: object):
    """A correctly signed list is still no set of claims."""
    token = jwt.api_jws.encode(repr(claims).encode(), KEY, "HS256")

    with pytest.raises(Unauthorized):
        signer().claims(token)


def test_an_endless_token_is_refused_before_it_is_hashed():
    """Work is bounded by the length."""
    token = signer().sign({"x": "a" * MAX_TOKEN_CHARS})

    with pytest.raises(Unauthorized):
        signer().claims(token)


def test_what_only_we_sign_has_a_key_of_its_own():
    """Who holds a session cannot turn it into a ticket, and no key is the secret itself."""
    keys = {derive_key(SECRET, purpose) for purpose in KeyPurpose} | {SECRET.encode()}

    assert len(keys) == len(KeyPurpose) + 1
    assert derive_key(SECRET, KeyPurpose.TICKET) != derive_key(SECRET + "x", KeyPurpose.TICKET)
