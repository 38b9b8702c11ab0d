# What building on Debian takes. Sourced, from the folder of the Dockerfile.
# shellcheck shell=bash

# The release that the image is based on.
debian_release() { sed -n 's/^FROM debian:\([a-z]*\)-slim$/\1/p' Dockerfile; }

# Where this machine gets its packages from.
apt_sources() {
  find /etc/apt/sources.list.d -name '*.sources' -o -name '*.list' | sort
  if [[ -s /etc/apt/sources.list ]]; then echo /etc/apt/sources.list; fi
}

# need TOOL PACKAGE: installs the package where the tool is missing and that can be done.
need() {
  local install=(apt-get install -y -qq --no-install-recommends "$2")
  if command -v "$1" >/dev/null; then return; fi
  if [[ $EUID == 0 ]] && command -v apt-get >/dev/null; then
    "${install[@]}" >&2 || { apt-get update -qq >&2 && "${install[@]}" >&2; }
  else
    echo "there is no $1: ${install[*]}" >&2
    exit 1
  fi
}
