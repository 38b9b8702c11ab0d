#!/usr/bin/env bash
# Builds the image without Docker and prints the path of the archive, an OCI image that `ctr images import` reads. The
# archive is named after what it is made of: a second call finds it. Needs Debian's package tools, root and Python.
# usage: build.sh NAME:TAG [PROGRAM]   PROGRAM is a zkprov for Debian 12; the repository's own is built without it
set -euo pipefail
[[ $# == 1 || $# == 2 ]] || { echo "usage: build.sh NAME:TAG [PROGRAM]" >&2; exit 64; }
name=$1
program=${2:+$(realpath "$2")}
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../debian.sh
. ../debian.sh
need strip binutils
if [[ ! $program ]]; then
  cargo build --locked --profile dist --package zkprov >&2
  program=$(cargo metadata --locked --no-deps --format-version 1 | python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')/dist/zkprov
fi
exec 9>"$cache/zkprov-image.lock"
flock 9

image() {
  mkdir -p "$2/root/usr/local/bin"
  strip -o "$2/root/usr/local/bin/zkprov" "$program"
  chmod 755 "$2/root/usr/local/bin/zkprov"
  python3 ../pack.py "$1" "$name" "$(config)" "$base_archive" "$2/root"
}

base_of zkprov
archive=$cache/zkprov-$({ echo "$name $base_archive $(sha256sum <"$program")"; cat Dockerfile build.sh ../pack.py ../debian.sh; } | key).tar
# One of a kind: each build of the program makes another.
find "$cache" -maxdepth 1 -name 'zkprov-????????????????.tar' -mmin +1440 -delete
build_once "$archive" image
echo "$archive"
