#!/bin/sh
# `make` puts this into .venv/bin: a clone is not installed, so Python is told where it is.
self=$0
[ -h "$self" ] && self=$(readlink -f "$self")
root=$(cd "$(dirname "$self")/../.." && pwd) || exit 1
PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}" exec "$root/.venv/bin/python" -m api.cli "$@"
