"""`python -m functions`: what an image runs, on Lambda and anywhere else."""

import os
import sys
from importlib import import_module

HANDLER = "functions.stream.app"


def main() -> int:
    """On Lambda the runtime loop, else a server. Only what is run is imported."""
    if "AWS_LAMBDA_RUNTIME_API" in os.environ:
        return int(import_module("functions.runtime.__main__").main([HANDLER]))
    return int(import_module("functions.container").main())


if __name__ == "__main__":
    sys.exit(main())
