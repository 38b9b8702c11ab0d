//! Links in the documentation: relative ones name a file that exists, and anchors a heading in it.

use crate::repository;
use crate::source::{files, relative};
use regex::Regex;
use std::fs;
use std::path::{Path, PathBuf};

fn documents() -> Vec<PathBuf> {
    let mut found = files(&repository().join("docs"), "md");
    found.extend(files(&repository().join("examples"), "md"));
    for entry in fs::read_dir(repository()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The targets of `[text](target)` outside code.
fn targets(markdown: &str) -> Vec<String> {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let span = Regex::new(r"`[^`]*`").unwrap();
    prose(markdown)
        .flat_map(|line| {
            let line = span.replace_all(line, "``").into_owned();
            link.captures_iter(&line).map(|found| found[1].to_owned()).collect::<Vec<_>>()
        })
        .collect()
}

/// The lines outside fenced code.
fn prose(markdown: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    markdown.lines().filter(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return false;
        }
        !fenced
    })
}

/// The anchors of a document, as GitHub makes them from headings.
fn anchors(markdown: &str) -> Vec<String> {
    let headings = prose(markdown).filter(|line| line.starts_with('#'));
    let mut found: Vec<String> = Vec::new();
    for heading in headings {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|letter| letter.is_alphanumeric() || " -_".contains(*letter));
        let anchor: String = kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect();
        let again =
            found.iter().filter(|one| **one == anchor || one.starts_with(&format!("{anchor}-"))).count();
        found.push(if found.contains(&anchor) { format!("{anchor}-{again}") } else { anchor });
    }
    found
}

/// What is wrong with a link of this document, if anything.
fn wrong(document: &Path, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if path.is_empty() { document.to_path_buf() } else { document.parent().unwrap().join(path) };
    if !file.exists() {
        return Some(format!("{}: {target}: there is no such file", relative(document)));
    }
    let text = if anchor.is_empty() { return None } else { fs::read_to_string(&file).unwrap_or_default() };
    (!anchors(&text).iter().any(|one| one == anchor))
        .then(|| format!("{}: {target}: there is no such heading", relative(document)))
}

#[test]
fn every_link_leads_somewhere() {
    let documents = documents();
    let mut found = Vec::new();
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        found.extend(targets(&text).iter().filter_map(|target| wrong(document, target)));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
    assert!(documents.len() > 10, "only {} documents found", documents.len());
}

#[test]
fn a_dead_link_is_found() {
    let readme = repository().join("README.md");
    assert!(wrong(&readme, "docs/no-such-file.md").is_some());
    assert!(wrong(&readme, "CONTRIBUTING.md#no-such-heading").is_some());
    assert!(wrong(&readme, "https://example.com/x").is_none());
    assert_eq!(targets("see [a](b.md#c) and `[x](y)`\n```\n[z](w)\n```\n"), ["b.md#c"]);
    assert_eq!(anchors("# A b: `c`\n## A b: c\n"), ["a-b-c", "a-b-c-1"]);
}

/// Every page of the documentation can be reached from its index.
#[test]
fn the_index_names_every_page() {
    let index = repository().join("docs/README.md");
    let text = fs::read_to_string(&index).unwrap();
    let linked: Vec<PathBuf> = targets(&text)
        .iter()
        .filter_map(|target| {
            index.parent().unwrap().join(target.split('#').next().unwrap()).canonicalize().ok()
        })
        .collect();
    let missing: Vec<String> = files(&repository().join("docs"), "md")
        .iter()
        .filter(|page| **page != index && !linked.contains(&page.canonicalize().unwrap()))
        .map(|page| relative(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}
