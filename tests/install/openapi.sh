#!/usr/bin/env bash
# Fetches the OpenAPI definitions of Kubernetes' API types at a pinned version, and prints the folder they are in.
# The Go module k8s.io/kubernetes carries them: 18 MB, of which only that file is kept. Go's checksum database vouches for it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
version=1.33.5

fill() {
  command -v go >/dev/null || { echo "there is no Go to fetch Kubernetes' definitions with: apt-get install golang" >&2; exit 1; }
  # A cache of its own, since nothing else of the module is wanted.
  (cd "$1" && GOMODCACHE="$1/modules" GOFLAGS=-modcacherw go mod download "k8s.io/kubernetes@v$version")
  mv "$1/modules/k8s.io/kubernetes@v$version/api/openapi-spec/swagger.json" "$1/swagger.json"
  rm -rf "$1/modules"
}

folder_of "kubernetes-openapi-$version" fill swagger.json
