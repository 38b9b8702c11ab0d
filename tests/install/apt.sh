#!/usr/bin/env bash
# Installs Debian packages: one caller at a time, and after whatever else on this machine is installing some.
set -euo pipefail
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov
mkdir -p "$cache"
exec 9>"$cache/apt.lock"
flock 9
export DEBIAN_FRONTEND=noninteractive
options=(-qq -o DPkg::Lock::Timeout=-1)
install() { apt-get "${options[@]}" install -y --no-install-recommends "$@" >&2; }
install "$@" || { apt-get "${options[@]}" update >&2 && install "$@"; }
