"""`python -m infra.local.env`: prints settings with which a process uses the running local stack.

For a shell: eval "$(make -s env)"
"""

from __future__ import annotations

import os
import sys

from infra.local.state import StateFolder


def main() -> int:
    """Returns the exit status: 1, with nothing on stdout, when no stack runs, else 0."""
    folder = StateFolder.of(os.environ)
    state = folder.read()
    if not folder.is_held():
        print("no local stack is running: start it with `make run`", file=sys.stderr)
        return 1
    if state.pid is None:
        print("the local stack is still starting: try again in a moment", file=sys.stderr)
        return 1
    for name, value in sorted(state.settings.items()):
        print(f"export {name}={_quoted(value)}")
    return 0


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


if __name__ == "__main__":
    sys.exit(main())
