# What a rig consists of on this machine, and how its processes are started and found again.
# shellcheck shell=bash
# The variables set here are read by the other parts.
# shellcheck disable=SC2034 source-path=SCRIPTDIR/..

real=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck source=versions.env
. "$real/versions.env"
# What `rig up` writes down, and `recorded` reads.
tier='' kubectl='' kubebox='' api_port=''

if [[ $EUID == 0 ]]; then
  rigs=${ZKPROV_RIGS:-/var/lib/zkprov-rig}
else
  rigs=${ZKPROV_RIGS:-${XDG_STATE_HOME:-$HOME/.local/state}/zkprov/rig}
fi

# 198.18.0.0/15 is set aside for benchmarks: it is never a real host, and Kubernetes takes it where it refuses loopback.
node_ip=198.18.0.1
dns_ip=198.18.0.10
kwok_ip=198.18.0.2
api_service_ip=198.19.0.1
pod_range=198.18.64.0/18
service_range=198.19.0.0/16
node_name=node-1
cluster_domain=cluster.local

fail() {
  echo "rig: $*" >&2
  exit 1
}

say() { echo "rig $name: $*" >&2; }

# use NAME: everything below is about this rig.
use() {
  name=$1
  [[ $name =~ ^[a-z]([a-z0-9-]{0,18}[a-z0-9])?$ ]] || fail "\`$name\` is no name for a rig: lower-case letters, digits and hyphens, at most 20"
  state=$rigs/$name
  logs=$state/log
  pki=$state/pki
  netns=zkprov-$name
  cgroup=zkprov-$name
}

# The rig's tier, ports and binaries, as `up` wrote them down.
recorded() {
  [[ -r $state/rig.env ]] || fail "there is no rig \`$name\`: tests/real/rig up $name"
  # shellcheck source=/dev/null
  . "$state/rig.env"
}

# Runs a command inside the rig's network. `nsenter`, for `ip netns exec` mounts /sys anew and hides the cgroups.
inside() {
  if [[ $tier == node ]]; then nsenter "--net=/run/netns/$netns" "$@"; else "$@"; fi
}

rig_kubectl() { inside "$kubectl" --kubeconfig "$state/admin.kubeconfig" "$@"; }

# When a process started, in clock ticks since boot; nothing if it is gone. With its id this names a process for good.
# The command, in parentheses, may hold blanks: fields are counted from behind it.
started_at() {
  local stat
  stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # shellcheck disable=SC2086
  set -- ${stat##*) }
  # A zombie is gone.
  [[ $1 == Z ]] || echo "${20}"
}

# start COMPONENT COMMAND...: in the background, in a session of its own, in the rig's network and cgroup.
start() {
  local component=$1 pid
  shift
  (
    if [[ $tier == node ]]; then
      for hierarchy in $(hierarchies); do echo 0 >"$hierarchy/$cgroup/rig/cgroup.procs"; done
      set -- nsenter "--net=/run/netns/$netns" "$@"
    fi
    exec setsid "$@"
  ) >"$logs/$component.log" 2>&1 </dev/null 9>&- &
  pid=$!
  echo "$pid $(started_at "$pid")" >"$state/pid/$component"
}

# Whether a component that was started still runs.
runs() {
  local pid since
  read -r pid since 2>/dev/null <"$state/pid/$1" && [[ -n $since && $(started_at "$pid") == "$since" ]]
}

# stop COMPONENT: at once, for nothing of a rig is kept.
stop() {
  local pid _
  read -r pid _ 2>/dev/null <"$state/pid/$1" || return 0
  if runs "$1"; then kill -KILL "$pid" 2>/dev/null || true; fi
  rm -f "$state/pid/$1"
}

# await WHAT COMPONENT COMMAND...: until the command succeeds; fails when the component has ended. On an idle machine it takes
# seconds; after twenty minutes the busiest one would have done it.
await() {
  local what=$1 component=$2 end=$((SECONDS + 1200))
  shift 2
  while ((SECONDS < end)); do
    if "$@" >/dev/null 2>&1; then
      say "$what"
      return
    fi
    if ! runs "$component"; then
      tail -n 15 "$logs/$component.log" >&2
      fail "$component ended; its last lines are above"
    fi
    sleep 0.1
  done
  tail -n 15 "$logs/$component.log" >&2
  fail "still not true after twenty minutes: $what; the last lines of $component are above"
}

# Where cgroup hierarchies are mounted: one for each controller (version 1), one for all (version 2), or both kinds.
hierarchies() { awk '$3 == "cgroup" || $3 == "cgroup2" { print $2 }' /proc/mounts | sort -u; }

# Lets the groups below a group of version 2 have all the controllers that it has.
hand_down() {
  local controllers
  controllers=$(sed 's/\(^\| \)/&+/g' "$1/cgroup.controllers")
  if [[ $controllers ]]; then echo "$controllers" >"$1/cgroup.subtree_control"; fi
}

# A cgroup for what the rig starts, one beside it in which kubelet keeps the pods. Every process of the rig is in one of them.
make_cgroups() {
  local hierarchy file
  for hierarchy in $(hierarchies); do
    # Files of a cgroup have no size that could be asked for.
    if [[ -e $hierarchy/cgroup.controllers ]]; then
      mkdir -p "$hierarchy/$cgroup"
      # Version 2 hands controllers down level by level.
      hand_down "$hierarchy"
      hand_down "$hierarchy/$cgroup"
    fi
    mkdir -p "$hierarchy/$cgroup/rig"
    for file in cpuset.cpus cpuset.mems; do
      # Version 1 wants both set, from the top down.
      if [[ -e $hierarchy/tasks && -e $hierarchy/$cgroup/$file ]]; then
        cat "$hierarchy/$file" >"$hierarchy/$cgroup/$file"
        cat "$hierarchy/$file" >"$hierarchy/$cgroup/rig/$file"
      fi
    done
  done
}

# Ends what is left in the rig's cgroups, and removes them. A group is busy until the last process in it has gone for good,
# which is some moments after the kill.
remove_cgroups() {
  local hierarchy pids left
  for _ in {1..3000}; do
    left=
    for hierarchy in $(hierarchies); do
      [[ -d $hierarchy/$cgroup ]] || continue
      left=1
      pids=$(find "$hierarchy/$cgroup" -name cgroup.procs -exec cat {} + 2>/dev/null || true)
      # shellcheck disable=SC2086
      [[ ! $pids ]] || kill -KILL $pids 2>/dev/null || true
      find "$hierarchy/$cgroup" -depth -type d -exec rmdir {} + 2>/dev/null || true
    done
    [[ $left ]] || return 0
    sleep 0.1
  done
  say "some of its cgroups are still busy: $cgroup"
}

# Unmounts everything below the rig's directory, the last mount first.
unmount_all() {
  local target
  awk -v below="$state/" 'index($5, below) == 1 { print $5 }' /proc/self/mountinfo | tac |
    while read -r target; do umount -l "$(printf '%b' "$target")" 2>/dev/null || true; done
}
