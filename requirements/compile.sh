#!/usr/bin/env bash
# Makes both lock files anew from pyproject.toml. Needs `uv`. The locks name no package index.
set -eu
cd "$(dirname "$0")/.."
options=(--universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --quiet "$@")
uv pip compile pyproject.toml --group build --group dev "${options[@]}" -o requirements/dev.lock
uv pip compile pyproject.toml --group build "${options[@]}" -c requirements/dev.lock -o requirements/run.lock
