#!/bin/sh
# Install one of the requirements files: infra/install.sh .venv/bin/python requirements.txt
#
# Each file pins everything that it needs, so nothing is resolved here (--no-deps). An installer that
# resolves a lock again looks at releases that came out since, and fails or takes them. The check at
# the end says what a lock lacks. With uv where it is installed, else with the environment's own pip.
set -eu
python=$1
requirements=$2
if command -v uv >/dev/null; then
  uv pip install --quiet --python "$python" --no-deps --require-hashes -r "$requirements"
  uv pip check --quiet --python "$python"
else
  "$python" -m pip install --quiet --no-deps --require-hashes -r "$requirements"
  "$python" -m pip check
fi
