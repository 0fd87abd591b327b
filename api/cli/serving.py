"""Builds the application for Litestar's own commands."""

from litestar import Litestar

from api.app import create_app
from api.cli.client import Failed
from api.settings import Settings, SettingsError
from api.telemetry import logs


def application() -> Litestar:
    """Build the application from the environment. Raises `Failed`, which names wrong settings."""
    try:
        settings = Settings.read()
        logs.configure(settings)
        return create_app(settings)
    except SettingsError as error:
        raise Failed("\n".join(["the settings are not right", *error.complaints])) from None
