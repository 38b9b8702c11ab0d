#!/usr/bin/env bash
# build.sh VERSION: builds the reader of documents with the types of a version of k8s.io/api (0.36.3 is Kubernetes 1.36.3), and
# prints its path. A second call finds it. Some 20 s of CPU.
set -euo pipefail
cd "$(dirname "$0")"
[[ ${1-} =~ ^0\.[0-9]+\.[0-9]+$ ]] || { echo "usage: tests/real/types/build.sh 0.MINOR.PATCH" >&2; exit 64; }
command -v go >/dev/null || { echo "there is no Go to build Kubernetes' types with: apt-get install golang" >&2; exit 1; }
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov
binary=$cache/kubernetes-types-$1-$(cat main.go build.sh | sha256sum | cut -c1-16)
if [[ ! -x $binary ]]; then
  mkdir -p "$cache"
  work=$(mktemp -d "$binary.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  cp main.go "$work"
  (
    cd "$work"
    go mod init types
    # Everything below follows from these two; the checksum database vouches for them.
    go mod edit -require "k8s.io/api@v$1" -require "k8s.io/apimachinery@v$1"
    go mod tidy
    CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o types .
  ) >&2
  mv "$work/types" "$binary"
fi
echo "$binary"
