//! Every file of `tests/bad` is wrong in its own way and gets the diagnostics beside it; nothing at all makes the
//! reader panic or run on.
//!
//! Comments `# --set path=value` at the top of a file are its overrides. `UPDATE_GOLDEN=1` rewrites the diagnostics.

#![expect(clippy::unwrap_used, reason = "test helpers fail by panicking")]

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use zkprov_plans::diagnostic::{Diagnostic, render_text};
use zkprov_plans::spec::{Defaults, Loaded, Source, load, set_replicas, starter};

fn read(name: &str, text: &str, overrides: &[String]) -> Loaded {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    load(&[source], overrides, &|_| None, &Defaults::default())
}

fn bad_files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bad");
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

fn diagnose(path: &Path) -> Loaded {
    let text = fs::read_to_string(path).unwrap();
    let overrides: Vec<String> =
        text.lines().map_while(|line| line.strip_prefix("# --set ")).map(str::to_owned).collect();
    read(&path.file_name().unwrap().to_string_lossy(), &text, &overrides)
}

#[test]
fn every_bad_file_gets_its_diagnostics() {
    let files = bad_files();
    assert!(files.len() >= 60, "only {} files", files.len());
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    for path in files {
        let loaded = diagnose(&path);
        assert!(loaded.has_errors(), "{} is accepted", path.display());
        assert!(loaded.specs.is_empty(), "{} yields a spec", path.display());
        let text = render_text(&loaded.diagnostics, false);
        let golden = path.with_extension("txt");
        if update {
            fs::write(&golden, &text).unwrap();
        } else if fs::read_to_string(&golden).unwrap_or_default() != text {
            wrong.push(format!("{}:\n{text}", golden.display()));
        }
    }
    assert!(wrong.is_empty(), "run with UPDATE_GOLDEN=1 if this is meant:\n{}", wrong.join("\n"));
}

/// A diagnostic is of use only with a place, a message and a way out.
#[test]
fn every_diagnostic_is_complete() {
    for path in bad_files() {
        let text = fs::read_to_string(&path).unwrap();
        for finding in diagnose(&path).diagnostics {
            let context = format!("{}: {finding:?}", path.display());
            assert!(!finding.message.is_empty() && !finding.message.ends_with('.'), "{context}");
            assert!(!finding.reason.is_empty() && !finding.fix.is_empty(), "{context}");
            assert!(finding.code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{context}");
            assert_ne!(finding.code, "internal", "{context}");
            let Some(location) = finding.location else {
                assert_eq!(finding.code, "no-ensemble", "{context}");
                continue;
            };
            assert!(location.length >= 1, "{context}");
            if !location.file.starts_with("--set") {
                let line = text.lines().nth(location.line as usize - 1).unwrap_or_default();
                assert!(location.column as usize <= line.chars().count() + 1, "{context}");
            }
        }
    }
}

#[test]
fn diagnostics_survive_json() {
    let findings: Vec<_> = bad_files().iter().flat_map(|path| diagnose(path).diagnostics).collect();
    let json = serde_json::to_string(&findings).unwrap();
    let back: Vec<Diagnostic> = serde_json::from_str(&json).unwrap();
    assert_eq!(back, findings);
}

/// One valid file with every kind of value, to be damaged.
fn rich() -> String {
    format!(
        "{}    resources: {{cpu: 500m, memory: 2Gi}}\n    settings:\n      check: 30s\n      zooCfg: {{tickTime: 2000, \
         x: &anchor \"y\"}}\n    clientLabels: {{app: *anchor}}\n",
        starter("my-project", "us-east1-d", "exhibitor").split("    # image").next().unwrap_or_default()
    )
}

/// Texts that mean something to YAML or to the file.
fn fragment() -> impl Strategy<Value = String> {
    let words = [
        "\n",
        "\t",
        "  ",
        ": ",
        "- ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!!int ",
        "| \n",
        "\"'",
        "---\n",
        "...\n",
        "<<: ",
        "? ",
        "#",
        "\r",
        "\u{feff}",
        "\u{0}",
        "${env:",
        "$${",
        "ä\u{301}",
        "%YAML 1.2\n",
        "null",
        "-9",
        "1e999",
        "0x",
        "spec:",
    ];
    prop::sample::select(words.to_vec()).prop_map(str::to_owned)
}

fn survives(text: &str, overrides: &[String]) {
    let loaded = read("f", text, overrides);
    let rendered = render_text(&loaded.diagnostics, true);
    assert_eq!(loaded.has_errors(), loaded.specs.is_empty(), "{rendered}");
    assert!(loaded.diagnostics.iter().all(|finding| finding.code != "internal"), "{rendered}");
    if let Ok(edited) = set_replicas(text, "exhibitor", 5) {
        assert_eq!(set_replicas(&edited, "exhibitor", 5).unwrap(), edited);
    }
}

#[test]
fn the_file_that_is_damaged_below_is_valid() {
    assert_eq!(render_text(&read("f", &rich(), &[]).diagnostics, false), "");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        survives(&String::from_utf8_lossy(&bytes), &[]);
    }

    #[test]
    fn yaml_like_texts_never_panic(parts in prop::collection::vec(fragment(), 0..60)) {
        survives(&parts.concat(), &[]);
    }

    #[test]
    fn damaged_files_never_panic(
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, fragment()), 1..6)
    ) {
        let mut text: Vec<char> = rich().chars().collect();
        for (at, length, insert) in cuts {
            let start = at.index(text.len() + 1);
            let end = (start + length).min(text.len());
            text.splice(start..end, insert.chars());
        }
        survives(&text.into_iter().collect::<String>(), &[]);
    }

    #[test]
    fn arbitrary_overrides_never_panic(
        overrides in prop::collection::vec(
            "(spec|metadata|[a-z.:\\\\]{1,8})(\\.(exhibitor|labels|zone|fileServer)){0,3}=?.{0,12}", 0..4)
    ) {
        survives(&rich(), &overrides);
    }
}
