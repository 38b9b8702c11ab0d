#!/usr/bin/env bash
# Fetches Google's discovery documents of the APIs we speak, at a pinned version, and prints the folder they are in.
# The package google-api-python-client carries them; only those documents are kept.
set -euo pipefail
version=2.202.0
documents=(compute.v1 container.v1 container.v1beta1 file.v1 file.v1beta1 serviceusage.v1 storage.v1)
folder=${XDG_CACHE_HOME:-$HOME/.cache}/zkprov/discovery-$version

complete() {
  local document
  for document in "${documents[@]}"; do [[ -s $folder/$document.json ]] || return 1; done
}

if ! complete; then
  mkdir -p "$(dirname "$folder")"
  work=$(mktemp -d "$folder.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --dest "$work" \
    "google-api-python-client==$version" >&2
  python3 - "$work" "${documents[@]}" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
wheel = next(work.glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in sys.argv[2:]:
        text = archive.read(f"googleapiclient/discovery_cache/documents/{name}.json")
        (work / f"{name}.json").write_bytes(text)
wheel.unlink()
PYTHON
  # Another run may have been quicker: then its folder stays.
  chmod 755 "$work"
  if ! complete; then
    rm -rf "$folder" && mv "$work" "$folder"
  fi
fi
echo "$folder"
