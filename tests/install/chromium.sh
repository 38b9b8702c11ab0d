#!/usr/bin/env bash
# Prints the path of a Chromium that runs without a window; installs Debian's where there is none.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name"; then exit 0; fi
done
if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
  "$(dirname "$0")/apt.sh" chromium
  command -v chromium
else
  echo "there is no Chromium: apt-get install chromium" >&2
  exit 1
fi
