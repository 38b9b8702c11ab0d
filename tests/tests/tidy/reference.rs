//! `docs/reference` is generated from the code: the commands, the exit codes, the file. `UPDATE_GOLDEN=1` rewrites it.

use crate::repository;
use clap::{Arg, Command};
use serde_json::Value;
use std::fmt::Write;
use std::fs;

const HEAD: &str =
    "<!-- Generated: `UPDATE_GOLDEN=1 cargo test -p zkprov-tests --test tidy reference` rewrites it. -->\n";

fn current(name: &str, text: &str) {
    let path = repository().join("docs/reference").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, text).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == text, "docs/reference/{name} is old: run with UPDATE_GOLDEN=1");
}

#[test]
fn the_exit_codes_are_current() {
    let mut text = format!("{HEAD}# Exit codes\n\n| code | meaning |\n| --- | --- |\n");
    for (status, meaning) in zkprov::exit_codes() {
        writeln!(text, "| {status} | {meaning} |").unwrap();
    }
    text.push_str(
        "\nCodes 3, 4 and 6 promise that nothing was changed. After 5, 130 and 143 what was done stays done, and the same \
         command goes on from there.\n",
    );
    current("exit-codes.md", &text);
}

#[test]
fn the_commands_are_current() {
    let mut command = zkprov::command();
    command.build();
    let mut text = format!("{HEAD}# Commands\n\n{}.\n\n## Options of every command\n\n", about(&command));
    options(&mut text, command.get_arguments());
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        describe(&mut text, "zkprov", sub);
    }
    current("commands.md", &text);
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn describe(text: &mut String, parent: &str, command: &Command) {
    let name = format!("{parent} {}", command.get_name());
    writeln!(text, "\n## {name}\n\n{}.\n", about(command)).unwrap();
    let subs: Vec<&Command> = command.get_subcommands().filter(|sub| sub.get_name() != "help").collect();
    if subs.is_empty() {
        options(text, command.get_arguments().filter(|arg| !arg.is_global_set()));
    }
    for sub in subs {
        describe(text, &name, sub);
    }
}

fn options<'a>(text: &mut String, arguments: impl Iterator<Item = &'a Arg>) {
    let lines: Vec<String> =
        arguments.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")).map(option).collect();
    if lines.is_empty() {
        text.push_str("No options of its own.\n");
    } else {
        text.push_str("| option | meaning |\n| --- | --- |\n");
        text.push_str(&lines.concat());
    }
}

fn option(arg: &Arg) -> String {
    let takes = arg.get_action().takes_values();
    let names = arg.get_value_names().unwrap_or_default().iter().map(|name| format!("<{name}>"));
    let values = if takes { names.collect::<Vec<_>>().join(" ") } else { String::new() };
    let word = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(long)) => format!("-{short}, --{long}"),
        (None, Some(long)) => format!("--{long}"),
        (Some(short), None) => format!("-{short}"),
        (None, None) => String::new(),
    };
    let optional = arg.get_num_args().is_some_and(|range| range.min_values() == 0);
    let usage = match (takes, word.is_empty(), optional) {
        (false, ..) => word,
        (true, true, _) => values,
        (true, false, true) => format!("{word}[={values}]"),
        (true, false, false) => format!("{word} {values}"),
    };
    let mut meaning = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let choices: Vec<String> = if takes {
        arg.get_possible_values().iter().map(|one| format!("`{}`", one.get_name())).collect()
    } else {
        Vec::new()
    };
    if !choices.is_empty() {
        write!(meaning, ": {}", choices.join(", ")).unwrap();
    }
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    if takes && !defaults.is_empty() {
        write!(meaning, " [default: {}]", defaults.join(" ")).unwrap();
    }
    if let Some(variable) = arg.get_env() {
        write!(meaning, " [environment: {}]", variable.to_string_lossy()).unwrap();
    }
    format!("| `{}` | {} |\n", usage.trim(), meaning.replace('|', "\\|"))
}

#[test]
fn the_file_is_current() {
    let schema = serde_json::to_value(zkprov_plans::spec::schema()).unwrap();
    let mut text = format!(
        "{HEAD}# The file\n\nAn `Ensemble` document in YAML; a file may hold several. Editors complete and check it with \
         [the JSON Schema](../../examples/zkprov.schema.json), which `zkprov schema` prints. Keys without a default may be \
         left out unless they are required. `${{env:NAME}}` and `--set path=value` are the only substitutions.\n\n\
         | key | type | default | meaning |\n| --- | --- | --- | --- |\n"
    );
    keys(&mut text, "", &schema);
    current("file.md", &text);
}

fn keys(text: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> =
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let default = match (&property["default"], required.contains(&name.as_str())) {
            (_, true) => "required".to_owned(),
            (Value::Null, false) => String::new(),
            (value, false) => format!("`{value}`"),
        };
        let meaning =
            property["description"].as_str().unwrap_or_default().replace('|', "\\|").replace('\n', " ");
        writeln!(text, "| `{path}` | {} | {default} | {meaning} |", kind(property)).unwrap();
        keys(text, &path, property);
        keys(text, &format!("{path}[]"), &property["items"]);
    }
}

fn kind(schema: &Value) -> String {
    if !schema["const"].is_null() {
        return format!("`{}`", plain(&schema["const"]));
    }
    let list = |key: &str| schema[key].as_array().cloned().unwrap_or_default();
    let choices: Vec<String> = list("enum").iter().map(|value| format!("`{}`", plain(value))).collect();
    if !choices.is_empty() {
        return choices.join(", ");
    }
    let several: Vec<String> = list("anyOf").iter().chain(&list("oneOf")).map(kind).collect();
    if !several.is_empty() {
        return several.join(", ");
    }
    let types = &schema["type"];
    let mut word = types
        .as_array()
        .map_or_else(|| plain(types), |types| types.iter().map(plain).collect::<Vec<_>>().join(" or "));
    if !schema["items"].is_null() {
        word = format!("list of {}", kind(&schema["items"]));
    }
    match (&schema["minimum"], &schema["maximum"]) {
        (Value::Null, Value::Null) => word,
        (low, Value::Null) => format!("{word}, at least {low}"),
        (Value::Null, high) => format!("{word}, at most {high}"),
        (low, high) => format!("{word}, {low} to {high}"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
