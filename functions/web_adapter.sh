#!/bin/sh
# The handler of a function that AWS's Lambda Web Adapter runs, in place of our loop: it starts
# the server that the adapter talks to.
set -eu
export PYTHONPATH="$LAMBDA_TASK_ROOT:/opt/python:${LAMBDA_RUNTIME_DIR:-/var/runtime}"
cd "$LAMBDA_TASK_ROOT"
exec python3 -m functions.container
