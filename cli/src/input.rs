//! Reading of files: documents, templates, plan files.

use crate::context::Context;
use crate::error::{CommandError, Exit};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use zkprov_plans::diagnostic::{self, Diagnostic};
use zkprov_plans::spec::{self, Inputs, ValidSpec};

/// What `-f` names when nothing is given.
const DEFAULT_FILE: &str = "zkprov.yaml";

/// What `-f` names, or the default file.
pub(crate) fn named(context: &Context) -> Vec<PathBuf> {
    if context.global.files.is_empty() {
        vec![PathBuf::from(DEFAULT_FILE)]
    } else {
        context.global.files.clone()
    }
}

/// The texts that `-f` names, in order; directories give their `*.yaml` and `*.yml`, sorted.
pub(crate) fn sources(context: &Context) -> Result<Vec<spec::Source>, CommandError> {
    let files = named(context);
    if context.global.files.is_empty() && !Path::new(DEFAULT_FILE).exists() {
        return Err(CommandError::new(Exit::Failed, format!("there is no {DEFAULT_FILE} here"))
            .hint("name a file with -f FILE, or write a starter file with `zkprov init`"));
    }
    let mut sources = Vec::new();
    for file in &files {
        if file.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin()
                .read_to_end(&mut bytes)
                .map_err(|error| CommandError::failed("reading standard input", &error))?;
            sources.push(source("<stdin>", bytes)?);
        } else if file.is_dir() {
            for path in documents_of(file)? {
                sources.push(read(&path)?);
            }
        } else {
            sources.push(read(file)?);
        }
    }
    Ok(sources)
}

fn documents_of(directory: &Path) -> Result<Vec<PathBuf>, CommandError> {
    let doing = format!("reading {}", directory.display());
    let entries = std::fs::read_dir(directory).map_err(|error| CommandError::failed(&doing, &error))?;
    let yaml = |path: &PathBuf| path.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
    let mut paths: Vec<PathBuf> =
        entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).filter(yaml).collect();
    paths.sort();
    if paths.is_empty() {
        return Err(CommandError::new(Exit::Failed, format!("{} holds no *.yaml file", directory.display())));
    }
    Ok(paths)
}

fn read(path: &Path) -> Result<spec::Source, CommandError> {
    let bytes = std::fs::read(path).map_err(|error| {
        CommandError::failed(&format!("reading {}", path.display()), &error)
            .hint("name the file with -f FILE, or write a starter file with `zkprov init`")
    })?;
    source(&path.display().to_string(), bytes)
}

fn source(name: &str, bytes: Vec<u8>) -> Result<spec::Source, CommandError> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        CommandError::new(Exit::Failed, format!("{name} is not UTF-8: byte {at} cannot be read"))
            .hint(format!("save {name} as UTF-8"))
    })?;
    Ok(spec::Source { name: name.to_owned(), text })
}

/// Reads and checks everything `-f` and `--set` name; findings go to stderr, all of them.
pub(crate) fn specs(context: &Context) -> Result<Vec<ValidSpec>, CommandError> {
    specs_with_inputs(context).map(|(_, specs)| specs)
}

/// As [`specs`], with what they are made of.
pub(crate) fn specs_with_inputs(context: &Context) -> Result<(Inputs, Vec<ValidSpec>), CommandError> {
    let (inputs, loaded) = read_inputs(context, &context.global.set)?;
    report(context, &loaded.diagnostics);
    if loaded.has_errors() {
        return Err(CommandError::silent(Exit::Failed));
    }
    Ok((inputs, loaded.specs))
}

/// Specs and findings, nothing said.
pub(crate) fn load(context: &Context) -> Result<spec::Loaded, CommandError> {
    load_with(context, &context.global.set)
}

/// As [`load`], with these overrides in place of `--set`'s.
pub(crate) fn load_with(context: &Context, set: &[String]) -> Result<spec::Loaded, CommandError> {
    read_inputs(context, set).map(|(_, loaded)| loaded)
}

fn read_inputs(context: &Context, set: &[String]) -> Result<(Inputs, spec::Loaded), CommandError> {
    let sources = sources(context)?;
    let defaults = spec::Defaults { project: context.global.project.clone() };
    let lookup = |name: &str| context.env(name);
    Ok(Inputs::read(sources, set.to_vec(), &lookup, defaults))
}

/// Findings on stderr.
pub(crate) fn report(context: &Context, findings: &[Diagnostic]) {
    if !findings.is_empty() {
        context.ui.complain(&diagnostic::render_text(findings, context.ui.color_errors()));
    }
}

/// `--templates DIR`: every `*.j2` of the directory by its name.
pub(crate) fn templates(context: &Context) -> Result<BTreeMap<String, String>, CommandError> {
    let mut texts = BTreeMap::new();
    let Some(directory) = &context.global.templates else { return Ok(texts) };
    let doing = format!("reading {}", directory.display());
    for entry in std::fs::read_dir(directory).map_err(|error| CommandError::failed(&doing, &error))? {
        let path = entry.map_err(|error| CommandError::failed(&doing, &error))?.path();
        if path.extension().is_some_and(|ending| ending == "j2")
            && let Some(name) = path.file_name().and_then(|name| name.to_str())
        {
            texts.insert(name.to_owned(), text_of(&path)?);
        }
    }
    Ok(texts)
}

/// The text of a file.
pub(crate) fn text_of(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path)
        .map_err(|error| CommandError::failed(&format!("reading {}", path.display()), &error))
}

/// Writes a file whole or not at all: a temporary file beside it takes its name.
pub(crate) fn write_atomically(
    context: &Context,
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), CommandError> {
    let doing = format!("writing {}", path.display());
    let failed = |error: std::io::Error| CommandError::failed(&doing, &error);
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("out");
    let temporary = path.with_file_name(format!(".{name}.{}.tmp", context.process()));
    let written = File::create(&temporary).map(BufWriter::new).and_then(|mut file| {
        write(&mut file)?;
        file.flush()
    });
    written.and_then(|()| std::fs::rename(&temporary, path)).map_err(|error| {
        // What is left of the attempt is of no use to anybody.
        let _ = std::fs::remove_file(&temporary);
        failed(error)
    })
}
