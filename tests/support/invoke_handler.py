"""Invokes a Lambda handler in this process: events come on stdin, answers go to stdout.

`python -m tests.support.invoke_handler functions.worker`. The first line it writes names the
modules that the handler's import has loaded.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module


class Context:
    """The part of Lambda's context that the worker uses."""

    def __init__(self, timeout_s: float) -> None:
        self._until = time.monotonic() + timeout_s

    def get_remaining_time_in_millis(self) -> int:
        return int((self._until - time.monotonic()) * 1000)


def main() -> None:
    handler = import_module(sys.argv[1]).handler
    print(json.dumps({"modules": sorted(sys.modules)}), flush=True)
    for line in sys.stdin:
        invocation = json.loads(line)
        answer = handler(invocation["event"], Context(invocation["timeout_s"]))
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
