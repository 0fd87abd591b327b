"""What we sign is what Ably's SDK would sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
import sys
from typing import Any

import msgspec
from ably import AblyRest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.chat.ably.key import AblyKey
from api.chat.tokens.issuer import TokenIssuer
from tests.support.local_server import ROOT

NOW = 1_795_204_020.0
KEY = AblyKey.parse("app.key:secret-grüße")


def issuer(key: AblyKey = KEY, nonce: str = "0123456789abcdef") -> TokenIssuer:
    return TokenIssuer(key, clock=lambda: NOW, new_nonce=lambda: nonce)


# The SDK turns lone surrogates into an error of its own, as we do.
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
operations = st.lists(st.sampled_from(["publish", "subscribe", "history"]), min_size=1, unique=True)


@settings(max_examples=50, deadline=None)
@given(
    client_id=texts.filter(lambda text: text != "*"),
    capability=st.dictionaries(texts, operations, min_size=1, max_size=4),
    ttl_ms=st.integers(1, 86_400_000),
    nonce=texts.filter(lambda text: len(text) >= 16),
    secret=texts,
)
async def test_a_token_request_is_the_sdks_own(
    client_id: str, capability: dict[str, Any], ttl_ms: int, nonce: str, secret: str
) -> None:
    """Ably's Python SDK makes the same of the same fields, whatever letters are in them."""
    text = json.dumps(capability)
    sdk = AblyRest(key_name="app.key", key_secret=secret)
    params = {
        "client_id": client_id,
        "capability": text,
        "ttl": ttl_ms,
        "timestamp": int(NOW * 1000),
        "nonce": nonce,
    }
    theirs = (await sdk.auth.create_token_request(params)).to_dict()
    await sdk.close()

    ours = issuer(AblyKey("app.key", secret), nonce).issue(
        client_id=client_id, capability=theirs["capability"], ttl_ms=ttl_ms
    )

    assert json.loads(msgspec.json.encode(ours)) == theirs


def test_a_token_request_has_exactly_the_fields_that_sdks_take() -> None:
    """One field more, or a null, makes an SDK refuse it."""
    request = issuer().issue(client_id="bob", capability="{}", ttl_ms=60_000)

    fields = json.loads(msgspec.json.encode(request))

    assert set(fields) == {
        *("keyName", "ttl", "capability", "clientId", "timestamp", "nonce", "mac")
    }
    assert None not in fields.values()


def test_a_jwt_names_the_key_and_holds_what_ably_reads() -> None:
    """Header, claims and signature are as Ably's documentation has them."""
    token = issuer().issue_jwt(client_id="bob", capability='{"room:a":["history"]}', ttl_ms=60_500)

    header, claims, signature = token.split(".")
    digest = hmac.digest(KEY.secret.encode(), f"{header}.{claims}".encode(), hashlib.sha256)

    assert decoded(header) == {"typ": "JWT", "alg": "HS256", "kid": "app.key"}
    assert decoded(claims) == {
        "iat": int(NOW),
        "exp": int(NOW) + 60,
        "x-ably-capability": '{"room:a":["history"]}',
        "x-ably-clientId": "bob",
    }
    assert base64.urlsafe_b64decode(signature + "=") == digest


def test_a_secret_may_hold_colons_and_is_never_shown() -> None:
    """The name ends at the first colon; a log of the key shows the name."""
    key = AblyKey.parse("app.key:a:b")

    assert (key.name, key.secret) == ("app.key", "a:b")
    assert "a:b" not in repr(key)


def test_signing_does_not_load_the_sdk() -> None:
    """A function that only hands out tokens never pays for it."""
    code = (
        "import sys, api.app, api.chat.http.routes\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(bool(loaded & {'ably', 'websockets', 'msgpack'}))"
    )

    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)

    assert answer.returncode == 0


def decoded(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
