"""`python -m infra.local.upstash`: serve one database and say where, on one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import Callable

from infra.local.listening import StartError
from infra.local.upstash.auth import Tokens
from infra.local.upstash.server import Options, serve


def main() -> int:
    """The exit status: 0 after a signal, 1 when the server could not start."""
    options = _options(sys.argv[1:])
    try:
        # Cancelled means a signal during the start: an orderly end as well.
        with (
            asyncio.Runner(loop_factory=_loop_factory()) as runner,
            contextlib.suppress(asyncio.CancelledError),
        ):
            runner.run(serve(options))
    except StartError as error:
        print(f"upstash: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str]) -> Options:
    parser = argparse.ArgumentParser(prog="python -m infra.local.upstash", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to bind")
    parser.add_argument("--port", type=int, default=8079, help="0 is any free port")
    parser.add_argument("--token", default="", help="full access; random when not given")
    parser.add_argument("--readonly-token", default="", help="reads only; random when not given")
    parser.add_argument("--allow-remote", action="store_true", help="bind beyond loopback")
    parser.add_argument(
        "--engine-timeout",
        type=float,
        default=10.0,
        help="seconds after which a stuck engine is an error",
    )
    parser.add_argument(
        "--until-stdin-closes", action="store_true", help="stop when the starting process is gone"
    )
    given = parser.parse_args(arguments)
    return Options(
        host=given.host,
        port=given.port,
        tokens=Tokens(
            full=given.token or secrets.token_urlsafe(),
            readonly=given.readonly_token or secrets.token_urlsafe(),
        ),
        redis_url=os.environ.get("REDIS_URL", ""),
        engine_timeout_s=given.engine_timeout,
        allow_remote=given.allow_remote,
        until_stdin_closes=given.until_stdin_closes,
    )


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        # Absent on Windows; the server is correct without it, only slower.
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    sys.exit(main())
