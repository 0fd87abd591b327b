"""`python -m functions.alive`: asks whether the server of this container answers."""

import os
import sys
from http.client import HTTPConnection, HTTPException

from api.settings.environment import value_of

TIMEOUT_S = 2.0
OK = 200


def main() -> int:
    """Returns the exit status: 0 when it answers with 200, else 1."""
    port = int(value_of(os.environ, "MILLRACE_PORT") or 8000)
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/api/health/live")
        return 0 if connection.getresponse().status == OK else 1
    except (OSError, HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
