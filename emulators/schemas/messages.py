"""GKE and Filestore: messages of requests and answers, by the discovery documents of v1 and v1beta1.

    "enums":{"ENUM":{"NAME":NUMBER or null, ...}}        null where no client knows the number
    "messages":{"MESSAGE":{"FIELD":"KIND MARKS", ...}}

KIND is a scalar, enum:ENUM or message:MESSAGE, after [] for a list and {} for a map. MARKS are `preview` for a field of
v1beta1 alone, and `optional` for a scalar that says whether it was set.
"""

import discovery
from protos import Proto

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
# Of GKE, beside every request and list.
CONTAINER = ["Cluster", "Operation", "ServerConfig"]
FILESTORE = ["CancelOperationRequest", "Instance", "ListInstancesResponse", "ListOperationsResponse", "Operation", "OperationMetadata"]


def container(documents, clients):
    """The text of GKE's table."""
    table = Table(documents, "container", Proto(clients / "container_v1beta1.py"))
    calls = [name for name in table.schemas if name.endswith("Request") or name.startswith("List")]
    return table.text(CONTAINER + calls)


def filestore(documents, clients):
    """The text of Filestore's table."""
    return Table(documents, "file", Proto(clients / "filestore_v1.py")).text(FILESTORE)


class Table:
    """The messages of one API, as far as they were asked for."""

    def __init__(self, documents, api, proto):
        stable, preview = discovery.read(documents, f"{api}.v1"), discovery.read(documents, f"{api}.v1beta1")
        self.revision, self.stable, self.schemas, self.proto = stable["revision"], stable["schemas"], preview["schemas"], proto
        self.messages, self.enums = {}, {}

    def text(self, wanted):
        # In order: the enums gather their names on the way.
        for message in sorted(wanted):
            self.add(message)
        head = f'{{"revision":"{self.revision}",\n"enums":{{\n'
        return f'{head}{discovery.lines(self.enums)}\n}},\n"messages":{{\n{discovery.lines(self.messages)}\n}}}}\n'

    def add(self, message):
        if message in self.messages or message not in self.schemas:
            return
        self.messages[message] = fields = {}
        stable = self.stable.get(message, {}).get("properties", {})
        for field, schema in self.schemas[message].get("properties", {}).items():
            marks = "" if field in stable else " preview"
            if self.proto.is_optional(message, field):
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
        numbers = self.enums.setdefault(path or f"{message}.{field}", dict(self.proto.enums[path]) if path else {})
        for name in names:
            numbers.setdefault(name)
        return path or f"{message}.{field}"
