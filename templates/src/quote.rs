//! Quoting of one value for the place it goes to.

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use std::fmt::Write as _;

/// The language of a template's output, told by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    /// `*.json.j2`
    Json,
    /// `*.yaml.j2`
    Yaml,
    /// `*.sh.j2`
    Shell,
}

impl Language {
    /// The language of the template, `None` for a name that tells none.
    pub(crate) fn of(template: &str) -> Option<Self> {
        Self::named(template.strip_suffix(".j2")?.rsplit_once('.')?.1)
    }

    /// The language that the template engine calls so; see [`Self::name`].
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Json, Self::Yaml, Self::Shell].into_iter().find(|language| language.name() == name)
    }

    /// How the template engine calls it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Yaml => "yaml",
            Self::Shell => "sh",
        }
    }

    /// The value as a literal of this language.
    pub(crate) fn quote(self, value: &Value) -> Result<String, Error> {
        match self {
            Self::Yaml if value.as_str().is_some_and(is_plain) => Ok(value.to_string()),
            // Every JSON value is a YAML value.
            Self::Json | Self::Yaml => {
                let mut out = String::new();
                json(&mut out, value)?;
                Ok(out)
            }
            Self::Shell => shell(value),
        }
    }
}

fn refuse(why: impl Into<String>) -> Error {
    Error::new(ErrorKind::BadSerialization, why.into())
}

/// Whether YAML of every version reads the text as itself without quotes: a letter, then letters, digits and what joins
/// names, and none of the words that some reader takes for a boolean or for nothing.
fn is_plain(text: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "y", "n", "null"];
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
        && !WORDS.contains(&text.to_ascii_lowercase().as_str())
}

/// The engine itself writes `True`.
fn boolean(value: &Value) -> &'static str {
    if value.is_true() { "true" } else { "false" }
}

fn json(out: &mut String, value: &Value) -> Result<(), Error> {
    match value.kind() {
        ValueKind::Bool => out.push_str(boolean(value)),
        ValueKind::Number => {
            let text = value.to_string();
            // JSON has no word for these, and YAML's differ.
            if text.contains("inf") || text.contains("NaN") {
                return Err(refuse(format!("{text} has no literal in JSON or YAML")));
            }
            out.push_str(&text);
        }
        ValueKind::String => json_string(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (index, item) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                json(out, &item)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (index, key) in value.try_iter()?.enumerate() {
                if index > 0 {
                    out.push_str(", ");
                }
                json_string(out, key.as_str().ok_or_else(|| refuse("a key is not a string"))?);
                out.push_str(": ");
                json(out, &value.get_item(&key)?)?;
            }
            out.push('}');
        }
        // Not `null`: to an API that takes patches, it deletes.
        ValueKind::None => return Err(refuse("the value is none: guard it with {% if %}")),
        kind @ (ValueKind::Undefined | ValueKind::Bytes | ValueKind::Plain | ValueKind::Invalid | _) => {
            return Err(refuse(format!("a value of kind {kind} has no literal in JSON or YAML")));
        }
    }
    Ok(())
}

/// A string literal that JSON and YAML read alike: YAML refuses control characters that JSON takes as they are, and
/// takes two of them for line breaks.
fn json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn shell(value: &Value) -> Result<String, Error> {
    let kind = value.kind();
    if kind == ValueKind::Bool {
        return Ok(boolean(value).to_owned());
    }
    if kind == ValueKind::Number {
        return Ok(value.to_string());
    }
    let Some(text) = value.as_str() else {
        return Err(refuse(format!("a value of kind {kind} is not one shell word: join it first")));
    };
    if text.contains('\0') {
        return Err(refuse("a shell word cannot hold a NUL character"));
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a shell reads what was quoted")]
mod tests {
    use super::*;
    use minijinja::value::Serde;
    use serde_json::json;

    /// Values that break out of careless quoting, or that YAML reads as something else.
    const HOSTILE: [&str; 21] = [
        "",
        " ",
        "no",
        "1e3",
        "0x10",
        "~",
        "null",
        "2001-01-01",
        "- a",
        "a: b",
        "a #b",
        "\"",
        "'; rm -rf / #",
        "$(id) `id` ${HOME}",
        "{{ name }}",
        "{% raw %}",
        "line\nbreak\r\n",
        "\\\" , \"x\": \"",
        "\u{85}\u{2028}\u{2029}\u{feff}\u{7f}\u{9f}\u{1}",
        "*anchor &x !tag |\n >",
        "\u{1f980} ünï",
    ];

    fn survives(text: &str) {
        let quoted = Language::Json.quote(&Value::from(text)).unwrap();
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        let quoted = Language::Yaml.quote(&Value::from(text)).unwrap();
        let yaml = format!("key: {quoted}\n{quoted}: value\nlist: [{quoted}, {{a: {quoted}}}]\n");
        let read: serde_json::Value = serde_saphyr::from_str(&yaml).unwrap();
        let mut expected = json!({"key": text, "list": [text, {"a": text}]});
        expected[text] = json!("value");
        assert_eq!(read, expected, "{yaml}");
    }

    #[test]
    fn hostile_strings_survive_json_and_yaml() {
        HOSTILE.into_iter().for_each(survives);
    }

    /// YAML 1.1 readers, of which Kubernetes' is one, take these for something else where they stand bare.
    #[test]
    fn only_names_go_without_quotes() {
        for bare in ["exhibitor", "zkprov.dev/ensemble", "pd-ssd", "a_b.c-d/e", "IfNotPresent", "yesterday"] {
            assert_eq!(Language::Yaml.quote(&Value::from(bare)).unwrap(), bare);
        }
        for word in [
            "Yes", "NO", "y", "N", "on", "Off", "true", "Null", "1.33", "0o17", "1e3", ".inf", "-a", "a:b",
            "a b",
        ] {
            assert_eq!(Language::Yaml.quote(&Value::from(word)).unwrap(), format!("\"{word}\""));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_string_survives_json_and_yaml(text in proptest::prelude::any::<String>()) {
            proptest::prop_assume!(!["key", "list"].contains(&text.as_str()));
            survives(&text);
        }

        #[test]
        fn any_name_survives_json_and_yaml(text in "[a-zA-Z0-9._/~+-]{0,6}") {
            proptest::prop_assume!(!["key", "list"].contains(&text.as_str()));
            survives(&text);
        }
    }

    #[test]
    fn nested_values_survive() {
        let value = json!({"list": HOSTILE, "map": {"a \"b\"": [1, true, 1.5]}});
        let quoted = Language::Json.quote(&Value::from(Serde(&value))).unwrap();
        assert_eq!(serde_json::from_str::<serde_json::Value>(&quoted).unwrap(), value);
    }

    #[test]
    fn every_string_is_one_shell_word() {
        for text in HOSTILE {
            let word = Language::Shell.quote(&Value::from(text)).unwrap();
            let output = std::process::Command::new("bash")
                .arg("-c")
                .arg(format!("VALUE={word}\nprintf '%s|' \"$VALUE\" $#"))
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{text}|0|"));
        }
    }

    #[test]
    fn what_has_no_literal_is_refused() {
        for (language, value) in [
            (Language::Json, Value::from(())),
            (Language::Json, Value::UNDEFINED),
            (Language::Yaml, Value::from(f64::NAN)),
            (Language::Yaml, Value::from(vec![f64::INFINITY])),
            (Language::Shell, Value::from(vec!["a"])),
            (Language::Shell, Value::from("a\0b")),
            (Language::Shell, Value::from(())),
        ] {
            assert!(language.quote(&value).is_err(), "{language:?} {value:?}");
        }
    }

    #[test]
    fn the_name_tells_the_language() {
        assert_eq!(Language::of("cluster.json.j2"), Some(Language::Json));
        assert_eq!(Language::of("service.yaml.j2"), Some(Language::Yaml));
        assert_eq!(Language::of("startup-script.sh.j2"), Some(Language::Shell));
        assert_eq!(Language::of("notes.txt.j2"), None);
        assert_eq!(Language::of("cluster.json"), None);
    }
}
