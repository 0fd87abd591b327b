"""The types of single settings. Each accepts good values only and says what is wrong with others.

No complaint shows a secret.
"""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BeforeValidator, SecretStr
from pydantic_settings import NoDecode

from api.settings.relay_sources import HEADER_VALUE
from api.settings.urls import origin, rest_url, service_url

MIN_SECRET_CHARS: Final = 32
MIN_SECRET_VARIETY: Final = 10  # different characters


class Environment(StrEnum):
    """Where the process runs.

    LOCAL allows plain http and the local secret, and serves routes for development. PRODUCTION
    refuses to start with settings that are unsafe.
    """

    LOCAL = "local"
    PRODUCTION = "production"


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _origins(value: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(origin(text) for text in value)


def _goes_into_a_header(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    # `docker run --env-file` takes the quotes of a line for a part of the value.
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise ValueError("must be without the quotes around it")
    if not HEADER_VALUE.fullmatch(text):
        raise ValueError("must be one line of visible ASCII characters: it goes into a header")
    return value


def _strong(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if len(text) < MIN_SECRET_CHARS or len(set(text)) < MIN_SECRET_VARIETY:
        raise ValueError(
            "too weak: use at least 32 random characters, such as from `openssl rand -hex 32`"
        )
    return value


def _ably_shape(value: SecretStr) -> SecretStr:
    name, _, secret = value.get_secret_value().partition(":")
    if name.count(".") != 1 or not secret:
        raise ValueError("an Ably API key looks like appId.keyId:secret")
    return value


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
"""Texts that are separated by commas in the environment. Empty ones are left out."""
Origins = Annotated[CommaSeparated, AfterValidator(_origins)]
"""Web origins in the form in which browsers send them, or `*` for all, separated by commas."""
HeaderSecret = Annotated[SecretStr, AfterValidator(_goes_into_a_header)]
"""A secret that is sent in a header: one line of visible ASCII characters, without quotes."""
AblyApiKey = Annotated[HeaderSecret, AfterValidator(_ably_shape)]
"""An API key of Ably, which looks like `appId.keyId:secret`."""
SigningSecret = Annotated[SecretStr, AfterValidator(_strong)]
"""A secret that signs tokens: at least 32 characters, and at least 10 different ones."""
ServiceUrl = Annotated[str, AfterValidator(service_url)]
"""The http(s) URL of a server, checked by `service_url`."""
RestUrl = Annotated[str, AfterValidator(rest_url)]
"""The URL of Upstash's REST API, checked by `rest_url`."""
