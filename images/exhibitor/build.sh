#!/usr/bin/env bash
# Builds the image without Docker and prints the path of the archive, an OCI image that `ctr images import` reads. The
# archive is named after what it is made of: a second call finds it. Needs Debian's package tools, root, Maven and Python.
# usage: build.sh NAME:TAG
set -euo pipefail
[[ $# == 1 ]] || { echo "usage: build.sh NAME:TAG" >&2; exit 64; }
name=$1
cd "$(dirname "$0")"
# shellcheck source-path=SCRIPTDIR source=../debian.sh
. ../debian.sh
need mvn maven
need javac openjdk-17-jdk-headless
exec 9>"$cache/exhibitor-image.lock"
flock 9

image() {
  ./assemble.sh "$2/root"
  python3 ../pack.py "$1" "$name" "$(config)" "$base_archive" "$2/root"
}

base_of exhibitor
files=$(find . -type f ! -name README.md ! -name 'test*' | sort | xargs sha256sum)
archive=$cache/exhibitor-$({ echo "$name $base_archive $files"; cat ../pack.py ../debian.sh; } | key).tar
build_once "$archive" image
echo "$archive"
