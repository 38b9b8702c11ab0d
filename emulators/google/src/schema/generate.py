#!/usr/bin/env python3
"""Writes container.json and filestore.json: the fields of Google's request and response messages.

    pip download --no-deps --dest WHEELS google-api-python-client==2.202.0 \\
        google-cloud-container==2.67.0 google-cloud-filestore==1.18.0
    python3 generate.py WHEELS

Field names and JSON types come from the discovery documents, which carry no enum numbers and do not say which scalars
have presence (`optional` in proto3); those come from the generated clients' sources. One message stands on one line.
"""

import ast
import json
import pathlib
import sys
import zipfile

DOCUMENTS = "googleapiclient/discovery_cache/documents/"
SCALARS = {
    ("string", "int64"): "int64",
    ("string", "uint64"): "int64",
    ("integer", "int32"): "int32",
    ("integer", "uint32"): "int32",
    ("number", "double"): "double",
    ("number", "float"): "double",
    ("boolean", None): "bool",
    ("any", None): "any",
}


class Proto:
    """Enum numbers and optional scalars, read from the sources of a generated client."""

    def __init__(self, wheel, package):
        self.enums, self.optional = {}, {}
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.startswith(f"{package}/types/") and name.endswith(".py"):
                    self.visit(ast.parse(archive.read(name)), "")

    def visit(self, node, prefix):
        for item in node.body:
            if isinstance(item, ast.ClassDef):
                path = f"{prefix}.{item.name}" if prefix else item.name
                if any(ast.unparse(base) == "proto.Enum" for base in item.bases):
                    pairs = (s for s in item.body if isinstance(s, ast.Assign))
                    values = {s.targets[0].id: ast.literal_eval(s.value) for s in pairs}
                    self.enums[path] = {name: value for name, value in values.items() if isinstance(value, int)}
                else:
                    fields = (s for s in item.body if isinstance(s, ast.AnnAssign) and isinstance(s.value, ast.Call))
                    found = {s.target.id for s in fields if any(k.arg == "optional" for k in s.value.keywords)}
                    self.optional.setdefault(item.name, set()).update(found)
                self.visit(item, path)

    def enum(self, names, message, field):
        """The enum with most of these names (discovery may be some values ahead), nearest to the field if several fit."""
        def rank(path):
            missing = sum(name not in self.enums[path] for name in names)
            akin = path.split(".")[-1].lower() in field.lower() or field.lower() in path.lower()
            return missing, message not in path.split("."), not akin, path
        best = min(self.enums, key=rank)
        missing, elsewhere, unlike, _ = rank(best)
        return best if missing == 0 or missing < len(names) and not (elsewhere and unlike) else None


def snake(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name)


class Table:
    def __init__(self, stable, preview, proto):
        self.stable, self.schemas, self.proto = stable, preview, proto
        self.messages, self.enums = {}, {}

    def add(self, message):
        if message in self.messages or message not in self.schemas:
            return
        self.messages[message] = fields = {}
        stable = self.stable.get(message, {}).get("properties", {})
        for field, schema in self.schemas[message].get("properties", {}).items():
            marks = "" if field in stable else " preview"
            if snake(field) in self.proto.optional.get(message, ()):
                marks += " optional"
            fields[field] = self.kind(message, field, schema) + marks

    def kind(self, message, field, schema):
        if "$ref" in schema:
            self.add(schema["$ref"])
            return "message:" + schema["$ref"]
        if schema["type"] == "array":
            return "[]" + self.kind(message, field, schema["items"])
        if schema["type"] == "object":
            if "additionalProperties" in schema:
                return "{}" + self.kind(message, field, schema["additionalProperties"])
            nested = f"{message}.{field}"
            self.schemas[nested] = schema
            self.stable.setdefault(nested, schema)
            self.add(nested)
            return "message:" + nested
        if "enum" in schema:
            return "enum:" + self.enum(message, field, schema["enum"])
        return SCALARS.get((schema["type"], schema.get("format")), schema["type"])

    def enum(self, message, field, names):
        path = self.proto.enum(names, message, field)
        if path:
            numbers = self.enums.setdefault(path, dict(self.proto.enums[path]))
            for name in names:
                if numbers.setdefault(name) is None:
                    print(f"no number for {path}.{name} at {message}.{field}", file=sys.stderr)
            return path
        print(f"no numbers for {message}.{field}: {names[:3]}", file=sys.stderr)
        path = f"{message}.{field}"
        self.enums[path] = dict.fromkeys(names)
        return path

    def write(self, path, revision):
        lines = [f'{{"revision":"{revision}",', '"enums":{']
        lines += [",\n".join(f"{json.dumps(k)}:{compact(v)}" for k, v in sorted(self.enums.items())), "},"]
        lines += ['"messages":{']
        lines += [",\n".join(f"{json.dumps(k)}:{compact(v)}" for k, v in sorted(self.messages.items())), "}}"]
        path.write_text("\n".join(lines) + "\n")


def compact(value):
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def main():
    wheels, here = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).parent
    with zipfile.ZipFile(next(wheels.glob("google_api_python_client-*.whl"))) as archive:
        read = lambda name: json.loads(archive.read(DOCUMENTS + name + ".json"))
        container, container_preview = read("container.v1"), read("container.v1beta1")
        file, file_preview = read("file.v1"), read("file.v1beta1")
    gke = Proto(next(wheels.glob("google_cloud_container-*.whl")), "google/cloud/container_v1beta1")
    filestore = Proto(next(wheels.glob("google_cloud_filestore-*.whl")), "google/cloud/filestore_v1")

    table = Table(container["schemas"], container_preview["schemas"], gke)
    for message in sorted(container_preview["schemas"]):
        if message.endswith("Request") or message.startswith("List") or message in ("Cluster", "ServerConfig", "Operation"):
            table.add(message)
    table.write(here / "container.json", container["revision"])

    table = Table(file["schemas"], file_preview["schemas"], filestore)
    for message in ["Instance", "ListInstancesResponse", "Operation", "OperationMetadata", "ListOperationsResponse",
                    "CancelOperationRequest"]:
        table.add(message)
    table.write(here / "filestore.json", file["revision"])


main()
