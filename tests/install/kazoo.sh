#!/usr/bin/env bash
# Installs kazoo, a ZooKeeper client library, and prints the path of a Python that has it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
dir=$cache/kazoo-2.10.0
if [[ ! -x $dir/bin/python ]] || ! "$dir/bin/python" -c 'import kazoo' 2>/dev/null; then
  rm -rf "$dir" && mkdir -p "$cache"
  python3 -m venv "$dir" >&2
  "$dir/bin/pip" install --quiet --disable-pip-version-check kazoo==2.10.0 >&2
fi
echo "$dir/bin/python"
