"""Google's discovery documents: messages, their fields and the JSON types of these."""

import json


def read(folder, name):
    """The document of an API and version, such as `container.v1`."""
    return json.loads((folder / f"{name}.json").read_text())


def compact(value):
    """JSON on one line, keys in order."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def lines(entries):
    """The members of a JSON object, one a line, in the order of their names."""
    return ",\n".join(f"{json.dumps(name)}:{compact(entry)}" for name, entry in sorted(entries.items()))
