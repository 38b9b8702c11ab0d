#!/usr/bin/env bash
# Tries the image: unpacks it, starts it as a container would be, with a process and a network space of its own, and looks
# at what it does. Needs root on Linux, Python and curl; no Docker.
# usage: test.sh ARCHIVE   an OCI archive: of build.sh, or of `docker save`
set -euo pipefail
[[ $# == 1 && -r $1 ]] || { echo "usage: test.sh ARCHIVE" >&2; exit 64; }
[[ $EUID == 0 ]] || { echo "root is needed to start a container by hand" >&2; exit 1; }
archive=$1
work=$(mktemp -d)
container=
passed=0

cleanup() {
  if [[ $container ]]; then kill -KILL "$container" 2>/dev/null || true; fi
  rm -rf --one-file-system "$work"
}
trap cleanup EXIT

ok() {
  passed=$((passed + 1))
  echo "ok $passed - $*"
}

fail() {
  echo "not ok - $*" >&2
  tail -n 40 "$work/log" >&2 || true
  exit 1
}

unpack() {
  python3 "$(dirname "$0")/../unpack.py" "$archive" "$work"
  mapfile -t entrypoint <"$work/Entrypoint"
  mapfile -t environment <"$work/Env"
  mkdir -p "$work/image"/{proc,dev,tmp,sys}
}

# run LAUNCHER... -- NAME=VALUE...: starts the container in the background.
run() {
  local launcher=()
  while [[ $1 != -- ]]; do
    launcher+=("$1")
    shift
  done
  shift
  # shellcheck disable=SC2016
  unshare --pid --mount --net --ipc --uts --fork --kill-child bash -c '
    ip link set lo up 2>/dev/null
    mount -t proc proc "$1/proc"
    mount -t tmpfs -o mode=1777 tmp "$1/tmp"
    mount --rbind /dev "$1/dev"
    root=$1
    shift
    exec chroot "$root" "$@"' launch "$work/image" "${launcher[@]}" env -i "${environment[@]}" HOSTNAME=127.0.0.1 "$@" \
    "${entrypoint[@]}" >"$work/log" 2>&1 &
  unshare_pid=$!
  # The container's first process is the child.
  while kill -0 "$unshare_pid" 2>/dev/null; do
    container=$(pgrep -P "$unshare_pid" || true)
    [[ -z $container ]] || return 0
    sleep 0.05
  done
  wait "$unshare_pid" || return $?
}

inside() { nsenter --target "$container" --pid --net --mount --root "$@"; }
ask() { nsenter --target "$container" --net curl -s --max-time 600 "$@"; }
mode() { inside bash -c 'exec 3<>/dev/tcp/127.0.0.1/2181 && printf srvr >&3 && sed -n "s/^Mode: //p" <&3' 2>/dev/null; }

await() {
  local what=$1 end=$((SECONDS + 1200))
  shift
  while ((SECONDS < end)); do
    if "$@" >/dev/null; then
      ok "$what"
      return
    fi
    kill -0 "$unshare_pid" 2>/dev/null || fail "$what: the container ended"
    sleep 0.2
  done
  fail "$what: not within twenty minutes"
}

# Microseconds for which some process had to wait for a processor, since the machine's start; 0 where the kernel does not tell.
stalled() { sed -n 's/^some .*total=//p' /proc/pressure/cpu 2>/dev/null | grep . || echo 0; }

# Asks the container to end, and how it did within the grace period of a pod. On a busy machine the time in which processes
# waited for a processor does not count.
stop() {
  local began=$SECONDS stalled status=0
  stalled=$(stalled)
  kill -TERM "$container"
  while kill -0 "$unshare_pid" 2>/dev/null; do
    ((SECONDS - began <= 30 + ($(stalled) - stalled) / 1000000)) || fail "still there 30 s after TERM"
    sleep 0.1
  done
  wait "$unshare_pid" || status=$?
  container=
  [[ $status == 0 ]] || fail "ended with $status after TERM"
  ok "TERM ends it in order, after $((SECONDS - began)) s"
}

unpack

run -- S3_BUCKET=b || true
wait "$unshare_pid" 2>/dev/null && fail "S3_BUCKET is not refused"
grep -q 'S3_BUCKET is set, and this image has no S3 support' "$work/log" || fail "no word about S3_BUCKET"
ok "S3 is refused with a reason"

# A share and data as an image that ran as root leaves them.
touch "$work/image/opt/zookeeper/local_configs/exhibitor-lock-_1_1"
printf 127.0.0.1 >"$work/image/opt/zookeeper/local_configs/exhibitor-lock-_1_1"
chmod 755 "$work/image/opt/zookeeper/local_configs"
run -- ZK_ENSEMBLE_SIZE=1 ZK_PASSWORD=s3cret-word
await "Exhibitor answers" ask -o /dev/null http://127.0.0.1:8181/exhibitor/v1/cluster/state
standalone() { [[ $(mode) == standalone ]]; }
await "ZooKeeper serves" standalone
[[ $(inside ps -o uid= -C java | sort -u | tr -d ' ') == 1000 ]] || fail "a JVM runs as another user than 1000"
[[ $(inside ps -o uid= -p 1 | tr -d ' ') == 1000 ]] || fail "the first process is not user 1000's"
ok "nothing runs as root"
[[ $(inside env "${environment[@]}" jps | grep -c QuorumPeerMain) == 1 ]] || fail "jps does not show ZooKeeper"
ok "jps shows ZooKeeper"
[[ ! -e $work/image/opt/zookeeper/local_configs/exhibitor-lock-_1_1 ]] || fail "its own old lock is still there"
ok "its own old lock is gone from the share"
status=http://127.0.0.1:8181/exhibitor/v1/cluster/status
[[ $(ask -o /dev/null -w '%{http_code}' "$status") == 401 ]] || fail "without the password it answers"
[[ $(ask -o /dev/null -w '%{http_code}' -u zk:s3cret-word "$status") == 200 ]] || fail "with the password it does not answer"
ok "ZK_PASSWORD protects the API"
if grep -q s3cret-word "$work/log" || inside ps -eo args | grep -q s3cret-word; then fail "the password can be read"; fi
ok "the password is in no log and no command line"
share=$work/image/opt/zookeeper/local_configs
api=http://127.0.0.1:8181/exhibitor/v1
settle() {
  # Posts the configuration as it is, with other clean-up files.
  ask -u zk:s3cret-word "$api/config/get-state" | python3 -c '
import json, sys
config = json.load(sys.stdin)["config"]
config["cleanupMaxFiles"] = sys.argv[1]
print(json.dumps({key: str(value) if isinstance(value, int) else value for key, value in config.items()}))' "$1" >"$work/config"
  ask -u zk:s3cret-word -H 'Content-Type: application/json' --data "@$work/config" "$api/config/set" | grep -q '"succeeded":true'
}
reads() { ask -u zk:s3cret-word "$api/config/get-state" | grep -q "\"cleanupMaxFiles\":$1\\b"; }
if ! { settle 21 && reads 21; }; then fail "the configuration can't be set"; fi
first=$(stat -c %i "$share/exhibitor.properties")
if ! { settle 22 && reads 22; }; then fail "the configuration can't be set again"; fi
[[ $(stat -c %i "$share/exhibitor.properties") != "$first" ]] || fail "the configuration is written over the old one, in place"
cmp -s "$share/exhibitor.properties" "$share/exhibitor.properties.copy" || fail "there is no copy of the configuration"
[[ -z $(find "$share" -name '*.new') ]] || fail "something is left beside the configuration"
ok "the configuration is written beside its place and renamed, and a copy kept"
ruin_and_mend() {
  # WHAT: a member reads within 5 s; the copy is put back 10 s after the damage.
  ruined=$1
  for _ in {1..4000}; do
    reads 22 || fail "a file that is $ruined is believed"
    if cmp -s "$share/exhibitor.properties" "$share/exhibitor.properties.copy"; then
      ok "a file that is $ruined is not believed, and mended"
      return
    fi
    sleep 0.3
  done
  fail "a file that is $ruined is not mended"
}
: >"$share/exhibitor.properties"
ruin_and_mend empty
truncate -s 900 "$share/exhibitor.properties"
ruin_and_mend cut
rm "$share/exhibitor.properties"
ruin_and_mend missing
write() {
  ask -u zk:s3cret-word -X PUT -H 'Content-Type: application/json' --data '6b657074' \
    http://127.0.0.1:8181/exhibitor/v1/explorer/znode/kept | grep -q '"succeeded":true'
}
await "a znode is written" write
[[ $(inside ps -eo stat= | grep -c '^Z') == 0 ]] || fail "there are zombies"
ok "no process is left unreaped"
grep -q ' zookeeper ' "$work/log" || fail "ZooKeeper's log is not in the container's"
ok "ZooKeeper logs to the container's output"
stop

# Again on the same data, this time never root.
run setpriv --reuid=1000 --regid=1000 --clear-groups -- ZK_ENSEMBLE_SIZE=1
kept() { ask 'http://127.0.0.1:8181/exhibitor/v1/explorer/node-data?key=/kept' | grep -q '"str":"kept"'; }
await "it runs without ever having been root, and the znode is there" kept
stop
echo "$passed passed, 0 failed"
