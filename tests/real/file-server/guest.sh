# shellcheck shell=bash
# The guest and its surroundings: one network namespace with the clients, the metadata server and the guest's network card.
# Sourced by `check`, which sets `here`, `zkprov` and `image`.
#
# Whatever is started is written down below $state/RUN before it matters: when a run is killed, the next one finds what it
# left behind and takes it away. A process is named by its id and its start time, so that no other's is ever hit.
# shellcheck disable=SC2034,SC2154 # shared with check and checks.sh
state=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov/file-server-runs

guest_address=198.18.77.2
allowed_address=198.18.77.1 allowed_range=198.18.77.0/24
denied_address=198.19.99.1 denied_range=198.19.99.0/24

# --- what runs, and cleaning up after it -------------------------------------------------------
started_at() { # process id; in clock ticks since boot
  local fields
  # The second field, the program's name in brackets, may hold blanks.
  { fields=$(<"/proc/$1/stat"); } 2>/dev/null && awk '{ print $20 }' <<<"${fields##*) }"
}
is_alive() { [[ ${2:-} && $(started_at "$1") == "$2" ]]; } # id, start time

# Takes away what the run in that folder started. Every process leads a group of its own: a guest has several.
sweep() { # folder
  local id start name
  while read -r id start; do
    if is_alive "$id" "$start"; then kill -KILL -- "-$id" 2>/dev/null; fi
  done < <(cat "$1/processes" 2>/dev/null)
  if read -r name 2>/dev/null <"$1/namespace"; then ip netns delete "$name" 2>/dev/null; fi
  rm -rf "$1"
}
sweep_dead_runs() {
  local folder id start
  mkdir -p "$state"
  for folder in "$state"/*/; do
    read -r id start 2>/dev/null <"$folder/owner" || continue
    is_alive "$id" "$start" || sweep "$folder"
  done
}
# Runs a program in the background as the leader of a process group and writes that down. Its id is in $started.
start() { # output file, command...
  local output=$1
  shift
  setsid "$@" >>"$output" 2>&1 </dev/null &
  started=$!
  # Or the shell would speak of its end.
  disown
  echo "$started $(started_at "$started")" >>"$run/processes"
}
open_run() {
  sweep_dead_runs
  run=$(mktemp -d "$state/XXXXXX")
  echo "$$ $(started_at $$)" >"$run/owner"
  namespace=zkprov-fs-${run##*/}
  echo "$namespace" >"$run/namespace"
  mkdir "$run/attributes" "$run/guest" "$run/reports"
}

# --- network -----------------------------------------------------------------------------------
inside() { nsenter --net="/run/netns/$namespace" "$@"; }
network_up() {
  ip netns add "$namespace"
  ip -n "$namespace" link set lo up
  ip -n "$namespace" tuntap add dev tap0 mode tap
  ip -n "$namespace" addr add "$allowed_address/24" dev tap0 # the guest's gateway, too
  ip -n "$namespace" addr add "$denied_address/24" dev tap0
  ip -n "$namespace" addr add 169.254.169.254/32 dev tap0 # the metadata server's
  ip -n "$namespace" link set tap0 up
  start "$run/metadata.log" nsenter --net="/run/netns/$namespace" \
    python3 "$here/metadata.py" 169.254.169.254 "$run/attributes" "$run/guest"
}
as_client() { # address, command...: all of the command's connections to the guest come from that address
  ip -n "$namespace" route replace "$guest_address/32" dev tap0 src "$1"
  inside timeout 1200 "${@:2}"
}
as_allowed() { as_client "$allowed_address" "$@"; }
as_denied() { as_client "$denied_address" "$@"; }

# --- metadata ----------------------------------------------------------------------------------
# What `zkprov` would put into the VM's metadata, by its own templates. Each --set is an option of the file.
metadata() { # PATH=VALUE...
  local option options=()
  for option; do options+=(--set "spec.fileServer.singleNode.$option"); done
  "$zkprov" render -f "$here/zkprov.yaml" --stage cloud --format json "${options[@]}" >"$run/rendered.json"
  generation=$(python3 "$here/attributes.py" "$run/rendered.json" "$run/attributes" "${edit:-}")
}

# --- the virtual machine -----------------------------------------------------------------------
boot_disk() { cp --sparse=always --reflink=auto "$image/$1.ext4" "$run/boot.img"; } # bare|ready
guest_start() { # file of the data disk, or nothing
  rm -rf "$run/guest/fileserver" "$run/control"
  : >"$run/serial.log"
  start "$run/machine.log" taskset -c "$cpu" nsenter --net="/run/netns/$namespace" \
    qemu-system-x86_64 -accel "${ZKPROV_ACCEL:-tcg}" -machine pc -smp 1 -m 768 -nodefaults -display none -no-reboot \
    -kernel "$image/vmlinuz" -append "root=/dev/nvme0n1 rw rootwait console=ttyS0 panic=-1 mitigations=off quiet \
systemd.show_status=false" \
    -drive "file=$run/boot.img,format=raw,if=none,id=boot,cache=unsafe" -device nvme,serial=boot,drive=boot \
    -device virtio-scsi-pci,id=scsi -netdev tap,id=network,ifname=tap0,script=no,downscript=no \
    -device virtio-net-pci,netdev=network -device virtio-rng-pci \
    -serial "file:$run/serial.log" -qmp "unix:$run/control,server=on,wait=off"
  guest=$started
  until [[ -S $run/control ]]; do kill -0 "$guest" 2>/dev/null || { cat "$run/machine.log"; return 1; }; sleep 0.1; done
  [[ ! ${1:-} ]] || plug "$1"
}
machine() { python3 "$here/machine.py" "$run/control" "$@"; }
plug() { machine plug "$1"; }
unplug() { machine unplug; }
power_cut() {
  kill -KILL -- "-$guest" 2>/dev/null
  while kill -0 "$guest" 2>/dev/null; do sleep 0.1; done
  guest=
}
power_off() { # as stopping a VM does
  local end=$((SECONDS + 1200))
  machine power-button || return 1
  while kill -0 "$guest" 2>/dev/null; do
    ((SECONDS < end)) || { echo "the guest does not stop"; power_cut; return 1; }
    sleep 0.3
  done
  guest=
}

# Seconds of a processor that the guest has used. A busy machine gives it fewer in the same time, so waits are measured in them.
guest_seconds() {
  local fields
  { fields=$(<"/proc/$guest/stat"); } 2>/dev/null && awk -v hz="$(getconf CLK_TCK)" '{ print int(($12 + $13) / hz) }' <<<"${fields##*) }" || echo 0
}
# For a guest that sleeps through it there is an hour.
limit_guest() { guest_limit=$(($(guest_seconds) + $1)) guest_end=$((SECONDS + 3600)); } # seconds
guest_may() { (($(guest_seconds) < guest_limit && SECONDS < guest_end)); }

# What `zkprov apply` waits for: this rendering's report in the guest attribute. Each report is kept with what it should
# mean: the product's own reading of it is tested afterwards.
await() { # ready|failed, seconds of the guest's processor
  local status='' name
  limit_guest "$2"
  while guest_may; do
    status=$(reported)
    case $status in
      "ready generation=$generation "*) break ;;
      "failed generation=$generation "*) break ;;
    esac
    kill -0 "$guest" 2>/dev/null || { echo "the guest has ended"; return 1; }
    sleep 0.3
  done
  # The console is a little behind.
  sleep 0.5
  reports=$((reports + 1))
  name=$run/reports/$(printf %02d "$reports")
  mkdir "$name"
  [[ ${serial_only:-} ]] || cp "$run/guest/fileserver/status" "$name/attribute" 2>/dev/null
  cp "$run/serial.log" "$name/serial"
  echo "$generation" >"$name/generation"
  echo "$1" >"$name/expected"
  case $status in "$1 generation=$generation "*) return 0 ;; esac
  echo "no report '$1' of $generation; the last one: $status"
  return 1
}
reported() {
  if [[ ${serial_only:-} ]]; then
    tr -d '\r' <"$run/serial.log" | sed -n 's/.*fileserver: \(READY\|FAILED\) /\L\1\E /p' | tail -n 1
  else
    cat "$run/guest/fileserver/status" 2>/dev/null
  fi
}
waits_for() { # text on the serial console, seconds of the guest's processor
  limit_guest "$2"
  until grep -qaF -- "$1" "$run/serial.log"; do
    guest_may && kill -0 "$guest" 2>/dev/null || return 1
    sleep 0.3
  done
}
