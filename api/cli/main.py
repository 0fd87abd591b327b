"""The command `millrace`: some of Litestar's own commands, and clients of the API."""

import os
from typing import Any

import rich_click as click
from litestar.cli import litestar_group
from litestar.cli._utils import LitestarEnv, LitestarGroup

from api.cli.client import Failed
from api.cli.events import publish, tail
from api.cli.jobs import jobs
from api.cli.text import printable
from api.settings.environment import keep_loopback_from_proxies

FACTORY = "api.cli.serving:application"
# Those of Litestar's that mean something here: we have no server-side sessions, documents of our
# own, and its version is in `info`.
LITESTARS = ("info", "routes", "run")


@click.pass_context
def _with_application(context: click.Context) -> None:
    """Serve the application, look into it, or use a running one.

    The clients (jobs, publish, tail) need MILLRACE_URL and MILLRACE_TOKEN; the others need the
    application's settings, such as from `eval "$(make -s env)"`.
    """
    # Loaded only by commands that need the application: a client has no settings for one.
    context.obj = lambda: LitestarEnv.from_env(FACTORY)


COMMANDS: list[Any] = [*(litestar_group.commands[name] for name in LITESTARS), jobs, publish, tail]

millrace = LitestarGroup(
    "millrace",
    commands={command.name: command for command in COMMANDS},
    callback=_with_application,
    help=_with_application.__doc__,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> int:
    """Run the command line. The exit status is 1 if it could not be done, 2 if it is wrong."""
    keep_loopback_from_proxies(os.environ)
    try:
        millrace(prog_name="millrace")
    except Failed as failure:
        click.echo(f"millrace: {printable(str(failure))}", err=True)
        return 1
    return 0
