"""Numbers of enums and optional scalars, which no discovery document has, from the sources of Google's generated clients."""

import ast


class Proto:
    """What the messages of one package say."""

    def __init__(self, path):
        self.enums, self.optional = {}, {}
        self.visit(ast.parse(path.read_text()), "")

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

    def is_optional(self, message, field):
        """Whether a scalar says if it was set. Discovery names fields in lower camel case, a client in snake case."""
        snake = "".join("_" + c.lower() if c.isupper() else c for c in field)
        return snake in self.optional.get(message, ())

    def enum(self, names, message, field):
        """The enum with most of these names (discovery may be some values ahead), nearest to the field if several fit."""
        def rank(path):
            missing = sum(name not in self.enums[path] for name in names)
            akin = path.split(".")[-1].lower() in field.lower() or field.lower() in path.lower()
            return missing, message not in path.split("."), not akin, path
        best = min(self.enums, key=rank)
        missing, elsewhere, unlike, _ = rank(best)
        return best if missing == 0 or missing < len(names) and not (elsewhere and unlike) else None
