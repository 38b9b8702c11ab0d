#!/usr/bin/env bash
# Fetches the sources of the messages in Google's generated clients of GKE and Filestore, at pinned versions, and prints the
# folder they are in, one file a package. They say what the discovery documents do not: numbers of enums, optional scalars.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
container=2.67.0
filestore=1.18.0

fill() {
  wheels "$1" "google-cloud-container==$container" "google-cloud-filestore==$filestore"
  python3 - "$1" container_v1beta1 filestore_v1 <<'PYTHON'
import pathlib, sys, zipfile

work = pathlib.Path(sys.argv[1])
for wheel in sorted(work.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        for package in sys.argv[2:]:
            prefix = f"google/cloud/{package}/types/"
            names = [name for name in archive.namelist() if name.startswith(prefix) and name.endswith(".py")]
            if names:
                (work / f"{package}.py").write_bytes(b"\n".join(map(archive.read, names)))
    wheel.unlink()
PYTHON
}

folder_of "messages-$container-$filestore" fill container_v1beta1.py filestore_v1.py
