#!/usr/bin/env python3
"""Packs layers into an OCI image archive, as `ctr images import` and `skopeo` read them. Neither Docker nor root is needed.

usage: pack.py ARCHIVE NAME CONFIG LAYER...

NAME is what the image is called, `host/name:tag`. CONFIG is JSON: the `config` of an OCI image (Env, Entrypoint, ...). A
LAYER is a directory, whose files become root's with the time 0, or a tar archive, which is taken as it is. The same input
gives the same bytes.
"""

import hashlib
import io
import json
import os
import platform
import sys
import tarfile

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
OCI = "application/vnd.oci.image"


def digest(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def normal(entry):
    entry.mtime = 0
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return entry


def write_layer(directory, path):
    """A tar archive of a directory, in order of names."""
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for name in sorted(os.listdir(directory)):
            archive.add(os.path.join(directory, name), arcname=name, filter=normal)


def add(archive, path, data):
    entry = tarfile.TarInfo(path)
    entry.size = len(data)
    archive.addfile(entry, io.BytesIO(data))


def add_blob(archive, data):
    """Stores JSON data under its digest; returns what a manifest says of it."""
    text = json.dumps(data, sort_keys=True).encode()
    name = hashlib.sha256(text).hexdigest()
    add(archive, f"blobs/sha256/{name}", text)
    return {"digest": f"sha256:{name}", "size": len(text)}


def main(archive_path, name, config, *sources):
    layers = []
    for number, source in enumerate(sources):
        path = source
        if os.path.isdir(source):
            path = f"{archive_path}.layer{number}"
            write_layer(source, path)
        layers.append((path, digest(path), os.path.getsize(path)))
    platform_name = {"architecture": ARCHITECTURES[platform.machine()], "os": "linux"}
    image = {
        **platform_name,
        "config": json.loads(config),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{each}" for _, each, _ in layers]},
        "history": [{"created_by": "pack.py"} for _ in layers],
    }
    with tarfile.open(archive_path, "w", format=tarfile.GNU_FORMAT) as archive:
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": {"mediaType": f"{OCI}.config.v1+json", **add_blob(archive, image)},
            "layers": [
                {"mediaType": f"{OCI}.layer.v1.tar", "digest": f"sha256:{each}", "size": size}
                for _, each, size in layers
            ],
        }
        index = {
            "mediaType": manifest["mediaType"],
            **add_blob(archive, manifest),
            "platform": platform_name,
            "annotations": {"io.containerd.image.name": name},
        }
        add(archive, "index.json", json.dumps({"schemaVersion": 2, "manifests": [index]}).encode())
        add(archive, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        for (path, each, size), source in zip(layers, sources):
            entry = tarfile.TarInfo(f"blobs/sha256/{each}")
            entry.size = size
            with open(path, "rb") as file:
                archive.addfile(entry, file)
            if path != source:
                os.unlink(path)


if __name__ == "__main__":
    if len(sys.argv) < 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
