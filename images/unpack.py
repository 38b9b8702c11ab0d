#!/usr/bin/env python3
"""Lays an OCI image archive out as a container's root, and tells how it is started: DIRECTORY/image, and beside it
DIRECTORY/Entrypoint and DIRECTORY/Env, one word a line, and DIRECTORY/config.json. Owners are kept for root alone.

usage: unpack.py ARCHIVE DIRECTORY
"""

import json
import os
import shutil
import sys
import tarfile

# How a layer says that a file of one below it is gone.
WHITEOUT = ".wh."


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def lay(layer, root):
    """One layer over those that are there."""
    kept = []
    for entry in layer:
        folder, name = os.path.split(entry.name)
        if name == WHITEOUT + WHITEOUT + "opq":
            sys.exit(f"unpack.py: {entry.name}: hiding a whole directory is not read here")
        if name.startswith(WHITEOUT):
            remove(os.path.join(root, folder, name.removeprefix(WHITEOUT)))
        else:
            kept.append(entry)
    more = {"filter": "fully_trusted"} if sys.version_info >= (3, 12) else {}
    layer.extractall(root, members=kept, **more)


def main(path, directory):
    archive = tarfile.open(path)
    read = lambda name: json.load(archive.extractfile(name))
    blob = lambda digest: "blobs/" + digest.replace(":", "/")
    manifest = read(blob(read("index.json")["manifests"][0]["digest"]))
    root = os.path.join(directory, "image")
    os.makedirs(root, exist_ok=True)
    for each in manifest["layers"]:
        with tarfile.open(fileobj=archive.extractfile(blob(each["digest"]))) as layer:
            lay(layer, root)
    config = read(blob(manifest["config"]["digest"]))["config"]
    for name in ("Entrypoint", "Env"):
        with open(os.path.join(directory, name), "w") as file:
            file.write("\n".join(config[name]))
    with open(os.path.join(directory, "config.json"), "w") as file:
        json.dump(config, file, indent=1, sort_keys=True)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
