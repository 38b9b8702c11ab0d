#!/usr/bin/env bash
# Prints the path of a Chromium that runs without a window; installs Debian's where there is none.
set -euo pipefail
for name in chromium chromium-browser google-chrome; do
  if command -v "$name"; then exit 0; fi
done
install=(apt-get install -y -qq --no-install-recommends chromium)
if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
  "${install[@]}" >&2 || { apt-get update -qq >&2 && "${install[@]}" >&2; }
  command -v chromium
else
  echo "there is no Chromium: ${install[*]}" >&2
  exit 1
fi
