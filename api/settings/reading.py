"""Reads settings from the environment and describes those that are wrong."""

import os
from typing import Any, Final, Self

from pydantic import ValidationError, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.settings.environment import unknown_names

# Settings that have the names which their vendors gave them.
OWN_NAMES: Final = {"UPSTASH_REDIS_REST_URL", "UPSTASH_REDIS_REST_TOKEN", "ABLY_API_KEY"}


class SettingsError(Exception):
    """Raised when the settings are wrong, so that the process must not start.

    `complaints` has a line for each reason. It names the setting and never shows a secret.
    """

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("; ".join(complaints))
        self.complaints = complaints


class FromEnvironment(BaseSettings):
    """Base class of settings that are read from environment variables that start with `MILLRACE_`.

    White space around a value is removed, and a blank value counts as missing.
    """

    model_config = SettingsConfigDict(
        env_prefix="MILLRACE_", frozen=True, extra="ignore", env_ignore_empty=True
    )

    @model_validator(mode="before")
    @classmethod
    def _without_blanks(cls, values: dict[str, Any]) -> dict[str, Any]:
        stripped = {
            name: value.strip() if isinstance(value, str) else value
            for name, value in values.items()
        }
        return {name: value for name, value in stripped.items() if value != ""}

    @classmethod
    def read(cls) -> Self:
        """Return the settings that the environment of this process contains.

        Raises `SettingsError` for missing, wrong and unknown settings, with one complaint for each.
        """
        unknown = unknown_names(os.environ, cls.names())
        try:
            settings = cls()
        except ValidationError as error:
            complaints = [_complaint(one) for one in error.errors()]
            raise SettingsError([*complaints, *unknown]) from None
        if unknown:
            raise SettingsError(unknown)
        return settings

    @classmethod
    def names(cls) -> list[str]:
        """Return the names of the environment variables that hold the settings."""
        return [
            str(field.validation_alias or f"MILLRACE_{name.upper()}")
            for name, field in cls.model_fields.items()
        ]


def _complaint(error: ErrorDetails) -> str:
    name = "_".join(str(part) for part in error["loc"]).upper()
    if name and name not in OWN_NAMES:
        name = f"MILLRACE_{name}"
    return f"{name or 'settings'}: {error['msg'].removeprefix('Value error, ')}"
