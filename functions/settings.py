"""Reads the settings from the environment, and secrets from AWS's Parameter Store as well."""

import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from api.settings import Settings
from api.settings.environment import keep_loopback_from_proxies, value_of
from api.telemetry import logs

PREFIX = "MILLRACE_SSM_PREFIX"
WEB_ROOT = "MILLRACE_WEB_ROOT"
# Where `python -m infra.aws.package --page` puts a page, and any image may.
PAGE = Path(__file__).resolve().parents[1] / "page"
NAMES = ("MILLRACE_", "UPSTASH_REDIS_REST_", "ABLY_")
CONNECT_TIMEOUT_S, READ_TIMEOUT_S, TRIES = 2, 4, 3


def read_settings() -> Settings:
    """Read all settings, and set up the logs by them. Raises `SettingsError`.

    `MILLRACE_SSM_PREFIX` names a folder of the Parameter Store, such as /millrace/prod. Its
    parameters have the names of settings, and count where the environment has no value. A
    folder `page` beside this package is served as the page, unless a setting names another.
    """
    keep_loopback_from_proxies(os.environ)
    if prefix := value_of(os.environ, PREFIX):
        add_parameters(prefix, os.environ)
    add_page(PAGE, os.environ)
    settings = Settings.read()
    logs.configure(settings)
    return settings


def add_parameters(prefix: str, environ: MutableMapping[str, str]) -> None:
    """Add the settings under `prefix` to `environ`, which keeps the values that are not blank.

    Raises botocore's errors: a function without its secrets must not start.
    """
    for path, value in _parameters(prefix):
        name = path.rpartition("/")[2]
        if name.startswith(NAMES) and value_of(environ, name) is None:
            environ[name] = value


def add_page(page: Path, environ: MutableMapping[str, str]) -> None:
    """Let the folder `page` be served if it exists, unless `environ` names another one."""
    if page.is_dir() and value_of(environ, WEB_ROOT) is None:
        environ[WEB_ROOT] = str(page)


def _parameters(prefix: str) -> Iterator[tuple[str, str]]:
    # Imported only here: loading it takes longer than the rest of the start.
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    limits = Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=READ_TIMEOUT_S,
        retries={"total_max_attempts": TRIES},
    )
    client = get_session().create_client("ssm", config=limits)
    pages = client.get_paginator("get_parameters_by_path").paginate(
        Path=prefix, WithDecryption=True
    )
    for page in pages:
        for parameter in page["Parameters"]:
            yield parameter["Name"], parameter["Value"]
