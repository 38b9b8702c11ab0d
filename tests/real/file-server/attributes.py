#!/usr/bin/env python3
"""Writes the metadata of the rendered VM as files, one an attribute, and prints the generation of its start-up script.
Usage: attributes.py RENDERED FOLDER [EDIT], where EDIT is `without KEY` or `OLD=>NEW`, one line of the script."""
import json
import os
import pathlib
import sys

rendered, folder = map(pathlib.Path, sys.argv[1:3])
edit = sys.argv[3] if len(sys.argv) > 3 else ""
vm = next(one["body"] for one in json.loads(rendered.read_text()) if one["template"] == "instance.json.j2")
items = {item["key"]: item["value"] for item in vm["metadata"]["items"]}
script = items["startup-script"]
generation = next(line for line in script.splitlines() if line.startswith("GENERATION=")).split("=")[1].strip("'")
if generation not in (value for key, value in items.items() if key != "startup-script"):
    sys.exit("no attribute says the generation")
if edit.startswith("without "):
    del items[edit.removeprefix("without ")]
elif edit:
    old, new = edit.split("=>")
    if script.count(old) != 1:
        sys.exit(f"the script has not one {old}")
    items["startup-script"] = script.replace(old, new)
for file in folder.iterdir():
    if file.name not in items:
        file.unlink()
for key, value in items.items():
    new = folder / f".{key}"
    new.write_text(value)
    os.replace(new, folder / key)
print(generation)
