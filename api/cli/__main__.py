"""`python -m api.cli` is `millrace`."""

import sys

from api.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
