"""Options that several commands share, and how commands end."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import rich_click as click

from api.cli.client import ApiClient
from api.cli.patience import Patience

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_USER = "cli"
DEFAULT_PATIENCE_S = 300.0

as_json = click.option("--json", "as_json", is_flag=True, help="One JSON document a line.")
patient = click.option(
    "--patience",
    "patience_s",
    type=click.FloatRange(min=0),
    default=DEFAULT_PATIENCE_S,
    show_default=True,
    help="Seconds to wait for a server that went away.",
)


def calls_the_api(command: Callable[..., None]) -> Callable[..., None]:
    """Decorate a command so that it gets an `ApiClient` as its first argument.

    The client is made from the options --url, --token and --user, which this adds.
    """

    @click.option("--url", envvar="MILLRACE_URL", show_default=DEFAULT_URL)
    @click.option("--token", envvar="MILLRACE_TOKEN", help="Without: signs in, in local mode.")
    @click.option(
        "--user",
        envvar="MILLRACE_USER",
        show_default=DEFAULT_USER,
        help="Whom to sign in as, in local mode.",
    )
    @wraps(command)
    def with_client(
        *, url: str | None, token: str | None, user: str | None, **options: Any
    ) -> None:
        client = ApiClient(
            _given(url) or DEFAULT_URL, _given(token), user=_given(user) or DEFAULT_USER
        )
        with interruptible():
            command(client, **options)

    return with_client


def _given(text: str | None) -> str | None:
    """Strip white space, such as a line end, from a text; None if nothing is left."""
    return (text or "").strip() or None


@contextmanager
def interruptible() -> Iterator[None]:
    """End the command silently on Ctrl-C, with the exit status that shells expect (130)."""
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None


def patience(limit_s: float) -> Patience:
    """Make a `Patience` of `limit_s` seconds that tells on stderr when the server is away."""
    return Patience(limit_s, say=lambda text: click.echo(text, err=True))


class JsonText(click.ParamType[Any]):
    """An option or argument whose value is a JSON text."""

    name = "JSON"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse a JSON text, which `-` reads from stdin. Fails the command if it is no JSON."""
        text = sys.stdin.read() if value == "-" else value
        try:
            return json.loads(text)
        except ValueError:
            self.fail(f"this is not JSON: {text[:80]}", param, ctx)
