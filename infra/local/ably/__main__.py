"""`python -m infra.local.ably`: serve one app and say where, on one line of JSON."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys

from infra.local.ably.keys_and_tokens.keys import Key
from infra.local.ably.server import Options, serve
from infra.local.listening import Place, StartError, parser_of


def main() -> int:
    """Serve until a signal. Returns the exit status: 1 when the server could not start, else 0."""
    options = _options(sys.argv[1:])
    try:
        asyncio.run(serve(options))
    except StartError as error:
        print(f"ably: {error}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str]) -> Options:
    parser = parser_of("infra.local.ably", __doc__, 8080)
    parser.add_argument(
        "--key", type=_key, default=None, help="appId.keyId:secret; random when not given"
    )
    parser.add_argument("--webhook-url", default="", help="where webhooks go; none when not given")
    parser.add_argument(
        "--webhook-interval", type=float, default=0.1, help="seconds between two batches"
    )
    parser.add_argument(
        "--webhook-retry", type=float, default=1.0, help="seconds before a batch is tried again"
    )
    given = parser.parse_args(arguments)
    return Options(
        place=Place.of(given),
        key=given.key or _key(f"local.{secrets.token_hex(3)}:{secrets.token_urlsafe(24)}"),
        webhook_url=given.webhook_url,
        webhook_interval_s=given.webhook_interval,
        webhook_retry_s=given.webhook_retry,
    )


def _key(text: str) -> Key:
    try:
        return Key.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


if __name__ == "__main__":
    sys.exit(main())
