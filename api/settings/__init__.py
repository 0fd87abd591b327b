"""All that an operator can set, read from the environment once."""

from api.settings.relay_sources import RelaySource
from api.settings.settings import Environment, Settings, SettingsError

__all__ = ["Environment", "RelaySource", "Settings", "SettingsError"]
