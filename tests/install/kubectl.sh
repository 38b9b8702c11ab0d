#!/usr/bin/env bash
# Prints the path of a kubectl of 1.31 or later: the one on PATH, or one built from Go modules.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
version=v0.33.5
minor() { "$1" version --client -o json 2>/dev/null | sed -n 's/.*"minor": "\([0-9]*\).*/\1/p' | head -n 1; }
if found=$(command -v kubectl) && [[ $(minor "$found") -ge 31 ]]; then
  echo "$found"
  exit
fi
binary=$cache/kubectl-$version/kubectl
if [[ ! -x $binary ]]; then
  command -v go >/dev/null || { echo "kubectl is not installed, and there is no Go to build it: apt-get install golang" >&2; exit 1; }
  mkdir -p "${binary%/*}"
  (cd "$(dirname "$0")/kubectl" && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$binary.new" .) >&2
  mv "$binary.new" "$binary"
fi
echo "$binary"
