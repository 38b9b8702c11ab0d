#!/usr/bin/env bash
# Tries the image: unpacks it and starts it as a container of a scheduled backup would be, as its own user and on a root that can't
# be written to. Needs root on Linux and Python; no Docker.
# usage: test.sh ARCHIVE   an OCI archive: of build.sh, or of `docker save`
set -euo pipefail
[[ $# == 1 && -r $1 ]] || { echo "usage: test.sh ARCHIVE" >&2; exit 64; }
[[ $EUID == 0 ]] || { echo "root is needed to start a container by hand" >&2; exit 1; }
archive=$(realpath "$1")
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
passed=0

ok() {
  passed=$((passed + 1))
  echo "ok $passed - $*"
}

fail() {
  echo "not ok - $*" >&2
  exit 1
}

# run ARGUMENT...: the image's program in a process, network and mount space of its own; what it says is in log.
run() {
  # shellcheck disable=SC2016
  unshare --pid --mount --net --ipc --uts --fork --kill-child bash -c '
    mount --bind "$1" "$1"
    mount -o remount,ro,bind "$1"
    root=$1
    shift
    exec chroot --userspec="$1" "$root" "${@:2}"' launch "$work/image" "$user" env -i "${environment[@]}" "${entrypoint[@]}" "$@" \
    >"$work/log" 2>&1 </dev/stdin
}

python3 ../unpack.py "$archive" "$work"
mapfile -t entrypoint <"$work/Entrypoint"
mapfile -t environment <"$work/Env"
user=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1])).get("User", ""))' "$work/config.json")
[[ $user == 65532:65532 ]] || fail "it starts as the user \"$user\""
ok "it does not start as root"
run --version || fail "it does not start: $(<"$work/log")"
ok "it is $(<"$work/log")"
run validate --file - <../../examples/production/zkprov.yaml || fail "it can't read a file: $(<"$work/log")"
ok "it reads a file, and needs no place to write to"
grep -q 'BEGIN CERTIFICATE' "$work/image/etc/ssl/certs/ca-certificates.crt" || fail "it knows no authorities"
ok "it knows whom to trust"
status=0
run backup --in-cluster --file - <../../examples/production/zkprov.yaml || status=$?
grep -q 'no pod with a service account' "$work/log" || fail "beside a cluster it says: $(<"$work/log")"
[[ $status == 1 ]] || fail "beside a cluster it exits with $status"
ok "what it can't do is an exit code, and said"
echo "$passed passed, 0 failed"
