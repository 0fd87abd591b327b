"""`python -m functions`: what a container image runs, on Lambda and elsewhere."""

import os
import sys
from importlib import import_module

HANDLER = "functions.stream.app"


def main() -> int:
    """Run the runtime loop on Lambda, a server elsewhere. Only the one that runs is imported."""
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        return int(import_module("functions.runtime.__main__").main([HANDLER]))
    return int(import_module("functions.container").main())


if __name__ == "__main__":
    sys.exit(main())
