#!/usr/bin/env bash
# Fetches Google's discovery documents of the APIs we speak, at a pinned version, and prints the folder they are in.
# The package google-api-python-client carries them; only those documents are kept.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
version=2.202.0
documents=(compute.v1 container.v1 container.v1beta1 file.v1 file.v1beta1 serviceusage.v1 storage.v1)

fill() {
  wheels "$1" "google-api-python-client==$version"
  python3 - "$1" "${documents[@]}" <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
wheel = next(work.glob("*.whl"))
with zipfile.ZipFile(wheel) as archive:
    for name in sys.argv[2:]:
        text = archive.read(f"googleapiclient/discovery_cache/documents/{name}.json")
        (work / f"{name}.json").write_bytes(text)
wheel.unlink()
PYTHON
}

folder_of "discovery-$version" fill "${documents[@]/%/.json}"
