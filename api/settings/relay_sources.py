"""The setting that lists the relay sources: SSE streams of others that Millrace passes on."""

import json
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,8192}")
# Headers that the relay sets itself, and those that delimit a request.
OUR_HEADERS = {
    *("host", "accept", "accept-encoding", "cache-control", "connection", "content-length"),
    *("last-event-id", "te", "transfer-encoding", "upgrade"),
}
SourceName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.~-]{1,64}$")]
"""The name of a relay source: 1 to 64 letters, digits or `_.~-`."""


class RelaySource(BaseModel):
    """One relay source as the operator configures it. Its URL and its headers may hold secrets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: SecretStr
    headers: dict[str, SecretStr] = Field(default={}, description="Sent to the URL's origin only.")
    hosts: tuple[str, ...] = Field(default=(), description="Others that it may redirect to.")
    everyone: bool = Field(default=False, description="No grant is needed, signing in is enough.")
    private: bool = Field(default=False, description="Its address need not be a public one.")
    silence_s: int = Field(default=60, ge=1, le=3600, description="Longest pause between bytes.")
    unique_ids: bool = Field(default=True, description="An id that came before is a repeat.")

    @field_validator("url", "headers", mode="before")
    @classmethod
    def _stripped(cls, value: object) -> object:
        # A line end at a secret's end comes from a file, and cannot go into a header.
        if isinstance(value, dict):
            return {name: cls._stripped(text) for name, text in value.items()}
        return value.strip() if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_plain(cls, value: SecretStr) -> SecretStr:
        try:
            parts = urlsplit(value.get_secret_value())
            is_url = parts.scheme in {"http", "https"} and bool(parts.hostname)
            is_plain = parts.port != 0 and "@" not in parts.netloc and not parts.fragment
        except ValueError:
            is_url = is_plain = False
        if not (is_url and is_plain):
            raise ValueError("must be http(s)://host/path, without user, password and fragment")
        return value

    @field_validator("headers")
    @classmethod
    def _are_headers(cls, value: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for name, secret in value.items():
            text = secret.get_secret_value()
            is_safe = HEADER_NAME.fullmatch(name) and HEADER_VALUE.fullmatch(text)
            if not is_safe or name.lower() in OUR_HEADERS:
                raise ValueError("must be header names and visible text; some names are ours")
        return value

    @property
    def is_https(self) -> bool:
        """Whether the URL is https, so that nobody on the way can read stream and headers."""
        return self.url.get_secret_value().lower().startswith("https://")


def _decoded(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise ValueError("must be a JSON object") from None


RelaySources = Annotated[dict[SourceName, RelaySource], NoDecode, BeforeValidator(_decoded)]
"""The relay sources by the name under which clients read them.

In the environment: a JSON object.
"""
