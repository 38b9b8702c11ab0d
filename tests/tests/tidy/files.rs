//! Files: none too long, none that names a place of one machine, and every example walked by a test.

use crate::repository;
use crate::source::{CRATES, files, relative};
use std::fs;
use std::path::PathBuf;

/// The longest source file.
const LINES: usize = 600;

/// Folders with text of ours, beside those of the crates.
const BESIDE: &[&str] = &["examples", "docs", "benches", "images", ".ci", ".github"];

/// Endings of text.
const ENDINGS: &[&str] = &["rs", "md", "yaml", "yml", "j2", "sh", "toml", "json", "py", "txt"];

fn ours() -> Vec<PathBuf> {
    let below = CRATES
        .iter()
        .chain(BESIDE)
        .flat_map(|folder| ENDINGS.iter().flat_map(move |ending| files(&repository().join(folder), ending)));
    let beside = fs::read_dir(repository()).unwrap().map(|entry| entry.unwrap().path());
    let beside = beside.filter(|path| {
        path.is_file() && path.extension().is_some_and(|ending| ENDINGS.iter().any(|one| ending == *one))
    });
    below.chain(beside).collect()
}

fn too_long(text: &str) -> bool {
    text.lines().count() > LINES
}

/// A path that only one machine has: somebody's home or workplace. `what` is put together here so that this file passes.
fn machine_path(text: &str) -> Option<String> {
    let words = ["home", "Users", "root", "work"].map(|folder| format!("/{folder}/"));
    let stands_alone = |line: &str, word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|letter| letter.is_alphanumeric() || "~._-}/$".contains(letter))
        })
    };
    text.lines()
        .find(|line| words.iter().any(|word| stands_alone(line, word)))
        .map(|line| line.trim().to_owned())
}

#[test]
fn source_files_fit_into_a_head() {
    let long: Vec<String> = files(repository(), "rs")
        .iter()
        .filter(|file| too_long(&fs::read_to_string(file).unwrap()))
        .map(|file| relative(file))
        .collect();
    assert!(long.is_empty(), "more than {LINES} lines: {long:?}");
    assert!(too_long(&"\n".repeat(LINES + 1)) && !too_long(&"\n".repeat(LINES)));
}

#[test]
fn nothing_names_a_place_of_one_machine() {
    let found: Vec<String> = ours()
        .iter()
        .filter_map(|file| {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            machine_path(&text).map(|line| format!("{}: {line}", relative(file)))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(machine_path(&["see /", "home", "/me/x"].concat()).is_some());
    assert!(machine_path(&["https://example.com/", "home", "/x"].concat()).is_none());
}

#[test]
fn nothing_is_marked_for_later() {
    let words = [["FIX", "ME"].concat(), ["XX", "X:"].concat(), ["TO", "DO:"].concat()];
    let found: Vec<String> = ours()
        .iter()
        .filter(|file| {
            let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
            words.iter().any(|word| text.contains(word.as_str()))
        })
        .map(|file| relative(file))
        .collect();
    assert!(found.is_empty(), "marks in {found:?}");
}

/// Every example is rendered, and `rendered` is compared with a golden; the whole-binary tests walk the same folders.
#[test]
fn every_example_is_walked_by_a_test() {
    let mut seen = 0;
    for entry in fs::read_dir(repository().join("examples")).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.join("zkprov.yaml").is_file() {
            continue;
        }
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let golden = repository().join(format!("tests/golden/render/{name}.snap"));
        assert!(
            golden.is_file(),
            "examples/{name} has no golden: run `cargo test -p zkprov-tests --test render`"
        );
        seen += 1;
    }
    assert!(seen >= 8, "only {seen} examples found");
}
