"""The text that `make run` prints when all is ready."""

from __future__ import annotations

from collections.abc import Mapping

_TEXT = """
Millrace is ready after {took_s:.1f} s. Ctrl-C stops it.

  page    {url}/
  docs    {url}/api/docs
  store   {store}
  chat    {chat}
  env     eval "$(make -s env)"

Watch a topic from another terminal:

  TOKEN=$(curl -s {url}/api/dev/session -H 'Content-Type: application/json' \\
    -d '{{"user":"alice","roles":["admin"]}}' | cut -d'"' -f4)
  curl -N -H "Authorization: Bearer $TOKEN" '{url}/api/events?topic=public:room'
"""


def welcome(values: Mapping[str, str], took_s: float) -> str:
    """The addresses of one run, and a first command to paste."""
    return _TEXT.format(
        url=values["MILLRACE_URL"],
        store=values["UPSTASH_REDIS_REST_URL"],
        # Without an address, a key is one of the service itself.
        chat=values.get("MILLRACE_ABLY_URL", "Ably"),
        took_s=took_s,
    )
