"""Reads the key or the token that a request or a connection shows."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from dataclasses import replace

from infra.local.ably.keys_and_tokens.keys import ANY_CLIENT, Grant, Keyring
from infra.local.ably.keys_and_tokens.tokens import Tokens
from infra.local.ably.protocol import AblyError

# ably-js writes access_token, ably-python and SSE clients accessToken.
_TOKEN_PARAMETERS = ("access_token", "accessToken")


class Credentials:
    """Turns a key or a token into a Grant."""

    def __init__(self, keys: Keyring, tokens: Tokens) -> None:
        self._keys = keys
        self._tokens = tokens

    def of_request(self, headers: Mapping[str, str], query: Mapping[str, str]) -> Grant:
        """The grant of an HTTP request, from its Authorization header or its query.

        Raises AblyError with the status 401 when it shows nothing valid, 404 for an unknown app.
        """
        scheme, _, rest = headers.get("authorization", "").partition(" ")
        if not scheme:
            grant = self.of_query(query)
        elif scheme.lower() == "basic":
            grant = self._of_key(_text(rest))
        elif scheme.lower() == "bearer":
            grant = self._of_bearer(rest.strip())
        else:
            grant = self._tokens.grant_of(scheme)
        claimed = headers.get("x-ably-clientid")
        return self._as_client(grant, _text(claimed)) if claimed else grant

    def of_query(self, query: Mapping[str, str]) -> Grant:
        """The grant of a WebSocket or an event stream. Raises AblyError as `of_request` does."""
        claimed = query.get("clientId")
        if (key := query.get("key")) is not None:
            grant = self._of_shown_key(key)
        else:
            shown = [query[name] for name in _TOKEN_PARAMETERS if name in query]
            if not shown:
                raise AblyError(40101, 401, "no credentials")
            grant = self._tokens.grant_of(shown[0])
        return self._as_client(grant, claimed) if claimed else grant

    def _of_bearer(self, text: str) -> Grant:
        if "." not in text:
            text = _text(text)
        return self._tokens.grant_of(text)

    def _of_shown_key(self, text: str) -> Grant:
        try:
            return self._of_key(text)
        except AblyError as error:
            # The SDKs' own tests expect this code here, also when the app or the key is unknown.
            raise AblyError(40101, 401, error.message) from None

    def _of_key(self, text: str) -> Grant:
        name, _, secret = text.partition(":")
        key = self._keys.named(name)
        if not hmac.compare_digest(key.secret.encode(), secret.encode()):
            raise AblyError(40101, 401, "the key's secret is wrong")
        return Grant.of_key(key)

    def _as_client(self, grant: Grant, claimed: str) -> Grant:
        if claimed == ANY_CLIENT:
            return grant
        if grant.client_id not in {ANY_CLIENT, claimed}:
            raise AblyError(40102, 401, "the clientId is not the token's")
        return replace(grant, client_id=claimed)


def _text(encoded: str) -> str:
    try:
        return base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise AblyError(40101, 401, "the credentials are not base64") from None
