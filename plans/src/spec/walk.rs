//! Checks a document against the schema, key by key, and collects everything that is wrong. What is right is handed
//! back as a JSON value that deserialises into [`file::Document`](super::file::Document), with the wrong parts left out.

use super::formats::{self, Problem};
use super::path::{join, last};
use super::source::{Findings, Place, Span};
use super::tree::{Entry, Node, Scalar, ScalarKind, Value};
use serde_json::{Map, Value as Json};
use std::collections::BTreeMap;

/// Where the keys of a document stand, by their path.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, Spans>);

#[derive(Debug, Clone, Copy)]
struct Spans {
    key: Place,
    value: Place,
}

impl Places {
    /// Where a finding about this path points: its value if the file gives one, else the innermost key around it.
    pub(super) fn of(&self, path: &str) -> Option<Place> {
        if let Some(spans) = self.0.get(path) {
            return Some(spans.value);
        }
        let mut outer = path;
        while let Some((shorter, _)) = outer.rsplit_once('.') {
            if let Some(spans) = self.0.get(shorter) {
                return Some(spans.key);
            }
            outer = shorter;
        }
        self.0.get("").map(|spans| spans.key)
    }

    /// Whether the file gives this key.
    pub(super) fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }

    /// Every given path with the place of its key, or of its value when that came by `--set`.
    pub(super) fn origins(&self) -> impl Iterator<Item = (&str, Span)> {
        let given = self.0.iter().filter(|(path, _)| !path.is_empty());
        given.map(|(path, spans)| {
            let overridden = spans.key.span.source != spans.value.span.source;
            (path.as_str(), if overridden { spans.value.span } else { spans.key.span })
        })
    }
}

/// Checks one document. `None` when nothing of it is usable.
pub(super) fn check(document: &Node, schema: &Json, findings: &mut Findings) -> (Option<Json>, Places) {
    let mut walk = Walk { root: schema, findings, places: Places::default() };
    let start = Place::from(document.span);
    walk.places.0.insert(String::new(), Spans { key: start, value: start });
    let value = walk.node(document, start, schema, "");
    (value, walk.places)
}

struct Walk<'a> {
    root: &'a Json,
    findings: &'a mut Findings,
    places: Places,
}

impl Walk<'_> {
    /// `key` is where to point when the value itself has no good place, such as a map that begins on the next line.
    fn node(&mut self, node: &Node, key: Place, schema: &Json, path: &str) -> Option<Json> {
        let value = Place { span: node.span, replaced: node.replaced };
        match &node.value {
            Value::Map(entries) if allows(schema, "object") => self.map(entries, key, schema, path),
            Value::List(items) if allows(schema, "array") => {
                let item_schema = schema.get("items").unwrap_or(&Json::Null);
                let mut kept = Vec::new();
                for (index, item) in items.iter().enumerate() {
                    let at = Place { span: item.span, replaced: node.replaced };
                    let path = join(path, &index.to_string());
                    self.places.0.insert(path.clone(), Spans { key: at, value: at });
                    kept.extend(self.node(item, at, item_schema, &path));
                }
                Some(Json::Array(kept))
            }
            Value::Scalar(scalar) => self.scalar(node, scalar, value, schema, path),
            Value::Map(_) | Value::List(_) => {
                let found = if matches!(node.value, Value::Map(_)) { "a map" } else { "a list" };
                self.wrong_type(key, schema, path, found, None);
                None
            }
        }
    }

    fn map(&mut self, entries: &[Entry], key: Place, schema: &Json, path: &str) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let extra = schema.get("additionalProperties").filter(|extra| extra.is_object());
        let key_format = schema.pointer("/propertyNames/format").and_then(Json::as_str);
        let mut kept = Map::new();
        let mut misspelt = Vec::new();
        for entry in entries {
            let at = Place::from(entry.key_span);
            let path = join(path, &entry.key);
            let known = properties.and_then(|properties| properties.get(&entry.key));
            let Some(schema) = known.or(extra) else {
                misspelt.extend(self.unknown_key(entry, properties, &path));
                continue;
            };
            if known.is_none()
                && let Some(Err(problem)) = key_format.map(|format| formats::check(format, &entry.key))
            {
                self.problem(at, problem);
                continue;
            }
            let value = Place { span: entry.node.span, replaced: entry.node.replaced };
            let scalar = matches!(entry.node.value, Value::Scalar(_));
            let pointed = if scalar && !entry.node.is_null() { value } else { at };
            self.places.0.insert(path.clone(), Spans { key: at, value: pointed });
            if let Some(value) = self.node(&entry.node, at, schema, &path) {
                kept.insert(entry.key.clone(), value);
            }
        }
        // A misspelt key is not missing as well.
        for (name, at) in &misspelt {
            self.places.0.entry(join(path, name)).or_insert(Spans { key: *at, value: *at });
        }
        for name in list(schema, "required").filter_map(Json::as_str) {
            if !self.places.has(&join(path, name)) {
                self.missing_key(key, schema, path, name);
            }
        }
        Some(Json::Object(kept))
    }

    fn missing_key(&mut self, key: Place, schema: &Json, path: &str, name: &str) {
        let property = schema.pointer(&format!("/properties/{name}")).unwrap_or(&Json::Null);
        let reason = description(property);
        let example = match property.get("const").and_then(Json::as_str) {
            Some(only) => format!("{name}: {only}"),
            None if allows(property, "integer") => format!("{name}: 3"),
            None if allows(property, "object") => format!("{name}:"),
            None => format!("{name}: ..."),
        };
        let message = if path.is_empty() {
            format!("`{name}` is missing")
        } else {
            format!("`{name}` is missing in `{path}`")
        };
        self.findings.error(Some(key), "missing-key", message, reason, format!("add `{example}`"));
    }

    /// Reports the key, and gives back the one that was most likely meant, with its place.
    fn unknown_key<'k>(
        &mut self,
        entry: &Entry,
        properties: Option<&'k Map<String, Json>>,
        path: &str,
    ) -> Option<(&'k str, Place)> {
        let key = entry.key.as_str();
        let at = Place::from(entry.key_span);
        let place = Some(at);
        if key == "<<" {
            self.findings.error(
                place,
                "merge-key",
                "merge keys (`<<`) are not read".to_owned(),
                "They are no part of YAML 1.2, and which value wins is hard to see.",
                "write the keys themselves, or repeat a whole value with an alias".to_owned(),
            );
            return None;
        }
        let known: Vec<&'k str> = properties.into_iter().flat_map(Map::keys).map(String::as_str).collect();
        let mut elsewhere = Vec::new();
        if !self.findings.is_full() {
            find_key(self.root, key, "", &mut elsewhere);
        }
        let near = nearest(key, &known);
        let fix = match (near, elsewhere.first()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(place)) => format!("did you mean `{place}`?"),
            (None, None) => "remove it".to_owned(),
        };
        let reason = format!("Known here: {}.", known.join(", "));
        let message = format!("unknown key `{path}`");
        self.findings.error(place, "unknown-key", message, &reason, fix);
        near.map(|near| (near, at))
    }

    fn scalar(&mut self, node: &Node, scalar: &Scalar, at: Place, schema: &Json, path: &str) -> Option<Json> {
        if node.is_null() {
            self.null(at, schema, path);
            return None;
        }
        if scalar.kind == ScalarKind::Unknown {
            return None;
        }
        let read = read(scalar, schema);
        let text = scalar.text.as_str();
        let format = schema.get("format").and_then(Json::as_str).unwrap_or_default();
        match &read {
            Read::Text if allows(schema, "string") => self.text(text, at, schema, path),
            Read::Number(_) | Read::Other(_) if formats::is_quantity(format) => {
                if let Err(problem) = formats::check(format, text) {
                    self.problem(at, problem);
                }
                None
            }
            Read::Number(number) if allows(schema, "integer") => self.number(*number, text, at, schema),
            Read::Bool(value) if allows(schema, "boolean") => Some(Json::Bool(*value)),
            Read::Text | Read::Number(_) | Read::Bool(_) | Read::Other(_) => {
                self.wrong_type(at, schema, path, read.name(), Some(text));
                None
            }
        }
    }

    fn null(&mut self, at: Place, schema: &Json, path: &str) {
        let name = last(path);
        let fix = if allows(schema, "object") {
            format!("write `{name}: {{}}` for the defaults, or remove the key")
        } else {
            "write a value, or remove the key".to_owned()
        };
        // The key is where a value that is not there can be pointed at.
        let at = self.places.of(path).unwrap_or(at);
        let reason = "An empty value could mean the default or nothing at all.";
        self.findings.error(Some(at), "missing-value", format!("`{path}` has no value"), reason, fix);
    }

    fn text(&mut self, text: &str, at: Place, schema: &Json, path: &str) -> Option<Json> {
        let allowed = choices(schema);
        if !allowed.is_empty() && !allowed.contains(&text) {
            self.not_a_choice(text, &allowed, at, path, description(schema));
            return None;
        }
        if let Some(format) = schema.get("format").and_then(Json::as_str)
            && let Err(problem) = formats::check(format, text)
        {
            self.problem(at, problem);
            return None;
        }
        Some(Json::from(text))
    }

    fn not_a_choice(&mut self, text: &str, allowed: &[&str], at: Place, path: &str, description: &str) {
        let list = allowed.iter().map(|value| format!("`{value}`")).collect::<Vec<_>>().join(", ");
        let same = allowed.iter().copied().find(|value| value.eq_ignore_ascii_case(text));
        let (code, reason) = match path {
            "apiVersion" => ("wrong-api-version", "This zkprov reads one version of the file."),
            "kind" => (
                "wrong-kind",
                "zkprov's file holds ensembles only; Kubernetes manifests do not belong into it.",
            ),
            "spec.exhibitor.exposure" => (
                "unknown-value",
                "Nothing reaches the ensemble from outside the VPC: Exhibitor's port is an unauthenticated root shell.",
            ),
            "spec.fileServer.filestore.tier" => (
                "unsupported-tier",
                "Google has renamed the tiers: STANDARD is BASIC_HDD, PREMIUM is BASIC_SSD.",
            ),
            _ => ("unknown-value", description),
        };
        let renamed = match text {
            "STANDARD" => Some("BASIC_HDD"),
            "PREMIUM" => Some("BASIC_SSD"),
            "HIGH_SCALE_SSD" => Some("ZONAL"),
            _ => None,
        };
        let near = same.or(renamed.filter(|name| allowed.contains(name))).or_else(|| nearest(text, allowed));
        let fix = match (near, allowed) {
            (_, [only]) => format!("write `{only}`"),
            (Some(near), _) => format!("write `{near}`; values: {list}"),
            (None, _) => format!("write one of {list}"),
        };
        let name = last(path);
        self.findings.error(Some(at), code, format!("`{text}` is no value of `{name}`"), reason, fix);
    }

    fn number(&mut self, number: i128, text: &str, at: Place, schema: &Json) -> Option<Json> {
        let bound = |name: &str| schema.get(name).and_then(Json::as_i64).map(i128::from);
        let (least, most) = (bound("minimum").unwrap_or(0), bound("maximum").unwrap_or(i128::from(u32::MAX)));
        if (least..=most).contains(&number) {
            return u64::try_from(number).ok().map(Json::from);
        }
        let listed: Vec<String> =
            list(schema, "enum").filter_map(Json::as_i64).map(|one| one.to_string()).collect();
        let (reason, fix) = if listed.is_empty() {
            let near = if number < least { least } else { most };
            (
                format!("It goes from {least} to {most}."),
                format!("write a number in the range, such as `{near}`"),
            )
        } else {
            (description(schema).to_owned(), format!("write one of {}", listed.join(", ")))
        };
        self.findings.error(Some(at), "out-of-range", format!("{text} is out of range"), &reason, fix);
        None
    }

    fn wrong_type(&mut self, at: Place, schema: &Json, path: &str, found: &str, text: Option<&str>) {
        let wanted = wanted(schema);
        let fix = match (text, wanted) {
            (Some(text), "a text") => format!("quote it: `\"{text}\"`"),
            (Some(text), "true or false") => match text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "1" | "true" => "write `true`".to_owned(),
                "no" | "off" | "n" | "0" | "false" => "write `false`".to_owned(),
                _ => "write `true` or `false`".to_owned(),
            },
            (Some(text), "a whole number")
                if found == "a text" && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                format!("write `{text}` without quotation marks")
            }
            (Some(text), "a list") => format!("write `[{text}]`"),
            (_, "a map") => "write its keys on lines of their own, or `{}` for the defaults".to_owned(),
            (_, wanted) => format!("write {wanted}"),
        };
        if path.is_empty() {
            let message = format!("a document must be {wanted}, not {found}");
            let reason = "A file holds one or more documents of `kind: Ensemble`.";
            let fix = "begin with `apiVersion: zkprov.dev/v1`, or see a whole file: `zkprov init`".to_owned();
            return self.findings.error(Some(at), "wrong-type", message, reason, fix);
        }
        let message = format!("`{path}` must be {wanted}, not {found}");
        let reason = match description(schema) {
            "" => "YAML gives a plain word its type by its looks; quotation marks make it a text.",
            description => description,
        };
        self.findings.error(Some(at), "wrong-type", message, reason, fix);
    }

    fn problem(&mut self, at: Place, problem: Problem) {
        self.findings.error(Some(at), problem.code, problem.message, &problem.reason, problem.fix);
    }
}

/// What a scalar is, once its notation and its key's type are known.
enum Read {
    Text,
    Number(i128),
    Bool(bool),
    /// Anything the file has no use for, in words.
    Other(&'static str),
}

impl Read {
    const fn name(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Other(name) => name,
        }
    }
}

/// YAML 1.2's core schema for plain scalars; a substituted one is whatever its key wants.
fn read(scalar: &Scalar, schema: &Json) -> Read {
    let wants_text = allows(schema, "string");
    match scalar.kind {
        ScalarKind::Quoted => return Read::Text,
        ScalarKind::Substituted if wants_text => return Read::Text,
        ScalarKind::Plain if wants_text && allows(schema, "integer") => return Read::Text,
        ScalarKind::Plain | ScalarKind::Substituted | ScalarKind::Unknown => {}
    }
    let text = scalar.text.as_str();
    match text {
        "true" | "True" | "TRUE" => return Read::Bool(true),
        "false" | "False" | "FALSE" => return Read::Bool(false),
        _ => {}
    }
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let based =
        text.strip_prefix("0x").map(|hex| (hex, 16)).or(text.strip_prefix("0o").map(|octal| (octal, 8)));
    if let Some((digits, radix)) = based
        && let Ok(number) = u64::from_str_radix(digits, radix)
    {
        return Read::Number(i128::from(number));
    }
    if digits.is_empty() || !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return Read::Text;
    }
    if digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let beyond = if text.starts_with('-') { i128::MIN } else { i128::MAX };
        return Read::Number(text.parse().unwrap_or(beyond));
    }
    let special = matches!(digits.to_ascii_lowercase().as_str(), ".inf" | ".nan");
    if special || (text.parse::<f64>().is_ok() && digits != ".") {
        return Read::Other("a number with a fraction");
    }
    Read::Text
}

/// Whether the schema takes this JSON type. Choices are texts.
fn allows(schema: &Json, name: &str) -> bool {
    match schema.get("type") {
        Some(Json::String(only)) => only == name,
        Some(Json::Array(several)) => several.iter().any(|one| one == name),
        Some(_) | None => name == "string" && !choices(schema).is_empty(),
    }
}

fn wanted(schema: &Json) -> &'static str {
    let names = [
        ("object", "a map"),
        ("array", "a list"),
        ("string", "a text"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
    ];
    names.iter().find(|(name, _)| allows(schema, name)).map_or("something else", |(_, words)| words)
}

/// The texts that a schema's `const`, `enum` or `oneOf` of them offers; none: any text.
fn choices(schema: &Json) -> Vec<&str> {
    schema
        .get("const")
        .and_then(Json::as_str)
        .into_iter()
        .chain(list(schema, "enum").filter_map(Json::as_str))
        .chain(list(schema, "oneOf").flat_map(choices))
        .collect()
}

/// The elements of a list that the schema has under this name.
fn list<'a>(schema: &'a Json, name: &str) -> impl Iterator<Item = &'a Json> {
    schema.get(name).and_then(Json::as_array).into_iter().flatten()
}

fn description(schema: &Json) -> &str {
    schema.get("description").and_then(Json::as_str).unwrap_or_default()
}

/// The paths at which the schema knows a key.
fn find_key(schema: &Json, key: &str, path: &str, found: &mut Vec<String>) {
    for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
        let path = join(path, name);
        if name == key {
            found.push(path.clone());
        }
        find_key(property, key, &path, found);
    }
}

/// The known word nearest to this one, if it is near: a third of its letters may differ.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let length = word.chars().count();
    // What is longer than any key is no key misspelt, and costs its square to compare.
    if length > 64 {
        return None;
    }
    let limit = (length.min(60) / 3).max(1);
    let distances =
        known.iter().map(|known| (strsim::osa_distance(&word, &known.to_ascii_lowercase()), *known));
    distances
        .filter(|(distance, _)| *distance <= limit)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_near_when_a_third_of_its_letters_differ() {
        assert_eq!(nearest("replica", &["replicas", "image"]), Some("replicas"));
        assert_eq!(nearest("zoen", &["zone", "image"]), Some("zone"));
        assert_eq!(nearest("colour", &["replicas", "image"]), None);
        assert_eq!(nearest(&"replicas".repeat(9), &["replicas"]), None);
    }
}
