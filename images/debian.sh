# What building an image on Debian takes, without Docker. Sourced, from the folder of the Dockerfile.
# shellcheck shell=bash

cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov
mkdir -p "$cache"

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

key() { sha256sum | cut -c1-16; }

# build_once FILE FUNCTION: the file, made by `FUNCTION NEW-FILE WORK-DIRECTORY` if it is not there yet.
build_once() {
  [[ ! -e $1 ]] || return 0
  local work
  work=$(mktemp -d "$cache/image.XXXXXX")
  # shellcheck disable=SC2064
  trap "rm -rf '$work'" EXIT
  "$2" "$work/archive" "$work"
  mv "$work/archive" "$1"
  rm -rf "$work"
}

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

# base_of NAME: the archive of Debian's part, built once.
base_of() {
  release=$(debian_release)
  need mmdebstrap mmdebstrap
  need python3 python3
  base_archive=$cache/$1-base-$({ echo "$release"; cat packages.txt; declare -f base; } | key).tar
  build_once "$base_archive" base
}

# What a container is started with, from the Dockerfile.
config() {
  python3 - <<'PYTHON'
import json, re

text = re.sub(r"\\\n", " ", open("Dockerfile").read())
lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
last = max(at for at, line in enumerate(lines) if line[0] == "FROM")
of = lambda word: [rest for name, rest in lines[last:] if name == word]
config = {
    "Env": of("ENV"),
    "ExposedPorts": {f"{port}/tcp": {} for line in of("EXPOSE") for port in line.split()},
    "StopSignal": "".join(of("STOPSIGNAL")[-1:]),
    "User": "".join(of("USER")[-1:]),
    "Entrypoint": json.loads(of("ENTRYPOINT")[-1]),
}
print(json.dumps({key: value for key, value in config.items() if value}))
PYTHON
}
