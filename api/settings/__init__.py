"""All that an operator can set, read from the environment once."""

from api.settings.reading import SettingsError
from api.settings.relay_sources import RelaySource
from api.settings.settings import Settings
from api.settings.types import Environment
