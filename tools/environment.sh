#!/usr/bin/env bash
# environment.sh cuda|cpu|none TARGET: packs what executors need, Python itself among it, into the archive TARGET.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(.venv/bin/python -c 'import os, sys; print(os.path.realpath(sys.executable))')
export UV_PROJECT_ENVIRONMENT=build/environment
rm -rf "$UV_PROJECT_ENVIRONMENT"
tools/packages.sh "$1" --no-dev --no-install-project --quiet --python "$python"
.venv/bin/python tools/pack_environment.py "$UV_PROJECT_ENVIRONMENT" "$2"
rm -rf "$UV_PROJECT_ENVIRONMENT"
