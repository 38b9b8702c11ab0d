"""Compute Engine: the messages of requests that change something, by the discovery document of v1.

    "MESSAGE":{"FIELD":TYPE, ...}

TYPE is the name of a message or of a scalar, [TYPE] a list, {"*":TYPE} a map, {"FIELD":TYPE} a message without a name.
"""

import discovery

# The bodies that the emulator accepts. What they consist of follows from these.
BODIES = [
    "AccessConfig", "Address", "AttachedDisk", "Disk", "DisksAddResourcePoliciesRequest", "DisksRemoveResourcePoliciesRequest",
    "DisksResizeRequest", "Firewall", "GlobalSetLabelsRequest", "Instance", "InstancesSetLabelsRequest", "InstancesSetMachineTypeRequest",
    "InstancesSetServiceAccountRequest", "InstancesStartWithEncryptionKeyRequest", "Metadata", "RegionSetLabelsRequest",
    "ResourcePolicy", "Scheduling", "ShieldedInstanceConfig", "Snapshot", "Tags", "ZoneSetLabelsRequest",
]


def table(documents):
    """The text of the table."""
    schemas, found = discovery.read(documents, "compute.v1")["schemas"], {}
    for message in BODIES:
        add(schemas, message, found)
    return "{\n" + discovery.lines(found) + "\n}\n"


def add(schemas, message, found):
    if message not in found:
        # Before its fields, one of which may be of the same message.
        found[message] = fields = {}
        fields.update(properties(schemas, schemas[message], found))
    return message


def properties(schemas, schema, found):
    return {name: kind(schemas, field, found) for name, field in schema.get("properties", {}).items()}


def kind(schemas, schema, found):
    if "$ref" in schema:
        return add(schemas, schema["$ref"], found)
    if schema["type"] == "array":
        return [kind(schemas, schema["items"], found)]
    if schema["type"] == "object":
        if "additionalProperties" in schema:
            return {"*": kind(schemas, schema["additionalProperties"], found)}
        # A map of anything has no properties either.
        return properties(schemas, schema, found) or "object"
    # 64-bit integers are strings in JSON; a discovery document has their size as a format.
    if schema.get("format") in ("int64", "uint64"):
        return "int64"
    return "int32" if schema["type"] == "integer" else schema["type"]
