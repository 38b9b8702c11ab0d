#!/usr/bin/env bash
# Builds the image without Docker and prints the path of the archive, an OCI image that `ctr images import` reads. The
# archive is named after what it is made of: a second call finds it. Needs Debian's package tools, root, Maven and Python.
# usage: build.sh NAME:TAG
set -euo pipefail
[[ $# == 1 ]] || { echo "usage: build.sh NAME:TAG" >&2; exit 64; }
name=$1
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=debian.sh
. ./debian.sh
release=$(debian_release)
need mvn maven
need javac openjdk-17-jdk-headless
need mmdebstrap mmdebstrap
need python3 python3
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov
mkdir -p "$cache"
exec 9>"$cache/exhibitor-image.lock"
flock 9

# build_once FILE FUNCTION: the file, made by `FUNCTION NEW-FILE WORK-DIRECTORY` if it is not there yet.
build_once() {
  [[ ! -e $1 ]] || return 0
  local work
  work=$(mktemp -d "$cache/exhibitor-image.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  "$2" "$work/archive" "$work"
  mv "$work/archive" "$1"
  rm -rf "$work"
}

key() { sha256sum | cut -c1-16; }

# Debian's part: large, and the same for as long as the list of packages is.
base() {
  [[ $EUID == 0 ]] || { echo "root is needed to lay out Debian's packages" >&2; exit 1; }
  local sources
  mapfile -t sources < <(apt_sources)
  SOURCE_DATE_EPOCH=0 mmdebstrap --quiet --mode=root --variant=essential --format=tar \
    --include="$(paste -sd, packages.txt)" \
    --dpkgopt=path-exclude='/usr/share/doc/*' --dpkgopt=path-exclude='/usr/share/locale/*' \
    --dpkgopt=path-exclude='/usr/share/info/*' \
    "$release" "$1" "${sources[@]}" >&2
}

# What a container is started with, from the Dockerfile.
config() {
  python3 - <<'PYTHON'
import json, re

text = re.sub(r"\\\n", " ", open("Dockerfile").read())
lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
last = max(at for at, line in enumerate(lines) if line[0] == "FROM")
of = lambda word: [rest for name, rest in lines[last:] if name == word]
print(json.dumps({
    "Env": of("ENV"),
    "ExposedPorts": {f"{port}/tcp": {} for line in of("EXPOSE") for port in line.split()},
    "StopSignal": of("STOPSIGNAL")[-1],
    "Entrypoint": json.loads(of("ENTRYPOINT")[-1]),
}))
PYTHON
}

image() {
  ./assemble.sh "$2/root"
  python3 ../pack.py "$1" "$name" "$(config)" "$base_archive" "$2/root"
}

base_archive=$cache/exhibitor-base-$({ echo "$release"; cat packages.txt; declare -f base; } | key).tar
build_once "$base_archive" base
files=$(find . -type f ! -name README.md ! -name 'test*' | sort | xargs sha256sum)
archive=$cache/exhibitor-$({ echo "$name $base_archive $files"; cat ../pack.py; } | key).tar
build_once "$archive" image
echo "$archive"
