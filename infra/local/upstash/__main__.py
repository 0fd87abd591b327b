"""`python -m infra.local.upstash`: serve one database and say where, on one line of JSON."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import sys
from collections.abc import Callable

from infra.local.listening import Place, StartError, parser_of
from infra.local.upstash.auth import Tokens
from infra.local.upstash.server import Options, serve


def main() -> int:
    """Serve until a signal. Returns the exit status: 1 when the server could not start, else 0."""
    options = _options(sys.argv[1:])
    try:
        # A signal during the start cancels `serve`, which is an orderly end as well.
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
    parser = parser_of("infra.local.upstash", __doc__, 8079)
    parser.add_argument("--token", default="", help="full access; random when not given")
    parser.add_argument("--readonly-token", default="", help="reads only; random when not given")
    parser.add_argument(
        "--engine-timeout",
        type=float,
        default=10.0,
        help="seconds after which a stuck engine is an error",
    )
    given = parser.parse_args(arguments)
    return Options(
        place=Place.of(given),
        tokens=Tokens(
            full=given.token or secrets.token_urlsafe(),
            readonly=given.readonly_token or secrets.token_urlsafe(),
        ),
        redis_url=os.environ.get("REDIS_URL", ""),
        engine_timeout_s=given.engine_timeout,
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
