#!/usr/bin/env bash
# Installs Google's own client of Cloud Storage, and prints the path of a Python that has it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
dir=$cache/google-cloud-storage-3.17.1
if [[ ! -x $dir/bin/python ]] || ! "$dir/bin/python" -c 'import google.cloud.storage' 2>/dev/null; then
  rm -rf "$dir" && mkdir -p "$cache"
  python3 -m venv "$dir" >&2
  "$dir/bin/pip" install --quiet --disable-pip-version-check google-cloud-storage==3.17.1 >&2
fi
echo "$dir/bin/python"
