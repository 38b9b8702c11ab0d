"""Kubernetes: the types of the kinds that the emulator serves, with their merge behaviour, by the API's OpenAPI definitions."""

import json

HEAD = """\
# Kubernetes v{minor}: the fields of each API type, with their merge behaviour, from the OpenAPI definitions.
# One type a line: NAME or NAME! (atomic: replaced as a whole), then FIELD:TYPE.
# TYPE: string int number bool bytes quantity intstr time microtime any, NAME, {}T granular map, {!}T atomic map,
# []T atomic list, [=]T set, [K1,K2]T list merged by the keys K1 and K2 (K1 alone in strategic merge patches).
"""
# The kinds that are served, by group. What they consist of follows from these.
KINDS = {
    "admissionregistration.v1": ["ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"],
    "apps.v1": ["DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"],
    "autoscaling.v1": ["Scale"],
    "batch.v1": ["CronJob", "Job"],
    "coordination.v1": ["Lease"],
    "core.v1": ["ConfigMap", "Endpoints", "Event", "Namespace", "Node", "Pod", "ReplicationController", "Secret", "Service", "ServiceAccount"],
    "discovery.v1": ["EndpointSlice"],
    "networking.v1": ["NetworkPolicy"],
    "policy.v1": ["Eviction", "PodDisruptionBudget"],
    "rbac.v1": ["Role", "RoleBinding"],
}
MACHINERY = "io.k8s.apimachinery.pkg."
SCALARS = {
    MACHINERY + "api.resource.Quantity": "quantity",
    MACHINERY + "apis.meta.v1.FieldsV1": "any",
    MACHINERY + "apis.meta.v1.MicroTime": "microtime",
    MACHINERY + "apis.meta.v1.Time": "time",
    MACHINERY + "util.intstr.IntOrString": "intstr",
}
# Lists that server-side apply and strategic merge patches treat differently, which the table cannot say. It says what
# server-side apply does; a strategic merge patch of one of these is merged by the table all the same.
DIFFERENT = {
    # Merged by key when applied, replaced as a whole by a strategic merge patch.
    "ResourceRequirements.claims", "ResourceStatus.resources", "ValidatingAdmissionPolicyStatus.conditions",
    # Replaced as a whole when applied, merged by key by a strategic merge patch.
    "JobStatus.conditions", "PodStatus.hostIPs",
}


def table(folder):
    """The text of the table."""
    definitions = Definitions(json.loads((folder / "swagger.json").read_text())["definitions"])
    for group, kinds in KINDS.items():
        for kind in kinds:
            definitions.add(f"io.k8s.api.{group}.{kind}", is_kind=True)
    if definitions.different != DIFFERENT:
        odd = sorted(definitions.different ^ DIFFERENT)
        raise SystemExit(f"emulators/schemas/kubernetes.py: DIFFERENT is wrong about {', '.join(odd)}")
    # The folder ends in the version; there is none in the definitions.
    minor = ".".join(folder.name.split("-")[-1].split(".")[:2])
    return HEAD.replace("{minor}", minor) + "".join(f"{line}\n" for _, line in sorted(definitions.lines.items()))


class Definitions:
    """The lines of the types that were asked for."""

    def __init__(self, definitions):
        self.definitions, self.names, self.lines, self.different = definitions, {}, {}, set()

    def add(self, definition, is_kind=False):
        """The short name of a type; two groups have types of the same name, which must then have the same fields."""
        name = definition.split(".")[-1]
        if definition in self.names:
            return name
        self.names[definition] = name
        schema = self.definitions[definition]
        fields = schema.get("properties", {})
        # A kind says first what it is.
        order = sorted(fields, key=lambda field: (not (is_kind and field in ("apiVersion", "kind")), field))
        atomic = "!" if schema.get("x-kubernetes-map-type") == "atomic" else ""
        line = " ".join([name + atomic] + [f"{field}:{self.kind(fields[field], f'{name}.{field}')}" for field in order])
        if self.lines.setdefault(name, line) != line:
            raise SystemExit(f"two types are named {name}:\n{self.lines[name]}\n{line}")
        return name

    def kind(self, schema, at):
        if "$ref" in schema:
            definition = schema["$ref"].removeprefix("#/definitions/")
            return SCALARS.get(definition) or self.add(definition)
        if schema["type"] == "array":
            return f"[{self.merge(schema, at)}]{self.kind(schema['items'], at)}"
        if schema["type"] == "object":
            atomic = "!" if schema.get("x-kubernetes-map-type") == "atomic" else ""
            return f"{{{atomic}}}{self.kind(schema['additionalProperties'], at)}"
        if schema["type"] == "string":
            return "bytes" if schema.get("format") == "byte" else "string"
        return {"boolean": "bool", "integer": "int", "number": "number"}[schema["type"]]

    def merge(self, schema, at):
        """How two lists become one: by these keys, as sets (`=`), or not at all."""
        keys = schema.get("x-kubernetes-list-map-keys", [])
        # Without a strategy a strategic merge patch replaces a list, and one of scalars is merged by value.
        strategy = schema.get("x-kubernetes-patch-strategy", "")
        key = schema.get("x-kubernetes-patch-merge-key") if "merge" in strategy.split(",") else None
        if key != next(iter(keys), None):
            self.different.add(at)
        kinds = {"atomic": "", "map": ",".join(keys), "set": "="}
        # A list that says nothing is atomic.
        return kinds[schema.get("x-kubernetes-list-type", "atomic")]
