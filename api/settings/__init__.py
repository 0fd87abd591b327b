"""All that an operator can set. It is read from the environment once, at the start."""

from api.settings.reading import SettingsError
from api.settings.relay_sources import RelaySource
from api.settings.settings import Settings
from api.settings.types import Environment
