//! What a look at the sources can find. Clippy holds most invariants, see `invariants.rs`; these are left. Every rule comes with a
//! line that breaks it and one that does not, so that none can fall asleep.

use crate::source::{CRATES, Source, sources};
use regex::Regex;

struct Rule {
    /// The invariant.
    name: &'static str,
    /// Where it holds.
    folders: &'static [&'static str],
    /// The places that are allowed to: files, or folders ending in `/`.
    except: &'static [&'static str],
    /// What must not stand there.
    pattern: &'static str,
    /// Lines with this are fine.
    unless: &'static str,
    why: &'static str,
    bad: &'static str,
    good: &'static str,
}

const NEVER: &str = r"$^";

const RULES: &[Rule] = &[
    Rule {
        name: "I2",
        folders: &["plans/src", "templates/src", "engine/src", "cli/src"],
        except: &["engine/src/providers/", "engine/src/credentials.rs"],
        pattern: r"\b(kube|k8s_openapi|zookeeper_client|google_cloud_\w+)::",
        unless: NEVER,
        why: "the clients' types stay in the providers",
        bad: "pub fn client() -> kube::Client {",
        good: "use crate::providers::kubernetes::Access;",
    },
    Rule {
        name: "I7",
        folders: &["plans/src", "templates/src", "engine/src"],
        except: &[],
        pattern: r"(?i)\b(zkprov_sandbox|is_sandbox|sandbox)\b",
        unless: NEVER,
        why: "below the cli nobody knows whether the cloud is the embedded one",
        bad: "if cloud.is_sandbox() {",
        good: "of::sandbox_config::Type",
    },
    Rule {
        name: "I8",
        folders: &["plans/src", "engine/src", "cli/src"],
        except: &[],
        pattern: r"unwrap_or(_else)?\((\|[^|]*\|\s*)?Reading::Absent|Err\([^)]*\)\s*(\|[^=]*)?=>\s*(Ok\()?Reading::Absent|Default for Reading|ok\(\)\.map_or\(Reading::Absent",
        unless: NEVER,
        why: "an error is not an absence: Reading::Unavailable says what could not be read",
        bad: "let reading = answer.unwrap_or(Reading::Absent);",
        good: "Ok(None) => Reading::Absent,",
    },
    Rule {
        name: "no allow",
        folders: CRATES,
        except: &[],
        pattern: r"#!?\[allow\(",
        unless: NEVER,
        why: "`#[expect(.., reason = ..)]` says why, and complains when it is no longer needed",
        bad: "#[allow(dead_code)]",
        good: "#[expect(dead_code, reason = \"\")]",
    },
    Rule {
        name: "nothing left to do",
        folders: CRATES,
        except: &[],
        pattern: r"\b(todo|unimplemented)!",
        unless: NEVER,
        why: "what is there works",
        bad: "    todo!()",
        good: "    let todo = 1;",
    },
];

/// Where a rule is broken: line numbers and lines.
fn broken(rule: &Rule, code: &str) -> Vec<(usize, String)> {
    let (pattern, unless) = (Regex::new(rule.pattern).unwrap(), Regex::new(rule.unless).unwrap());
    code.lines()
        .enumerate()
        .filter(|(_, line)| pattern.is_match(line) && !unless.is_match(line))
        .map(|(at, line)| (at + 1, line.trim().to_owned()))
        .collect()
}

fn excepted(rule: &Rule, path: &str) -> bool {
    rule.except
        .iter()
        .any(|place| if place.ends_with('/') { path.starts_with(place) } else { path == *place })
}

#[test]
fn the_sources_keep_every_rule() {
    let mut found = Vec::new();
    for rule in RULES {
        let sources: Vec<&Source> = sources(rule.folders).collect();
        assert!(!sources.is_empty(), "{}: no sources in {:?}", rule.name, rule.folders);
        for Source { path, code } in sources.into_iter().filter(|source| !excepted(rule, &source.path)) {
            for (line, text) in broken(rule, code) {
                found.push(format!("{}: {path}:{line}: {text}\n    {}", rule.name, rule.why));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn every_rule_catches_what_breaks_it_and_nothing_else() {
    for rule in RULES {
        assert!(!broken(rule, rule.bad).is_empty(), "{} passes {:?}", rule.name, rule.bad);
        assert!(broken(rule, rule.good).is_empty(), "{} refuses {:?}", rule.name, rule.good);
    }
}

#[test]
fn every_exception_is_a_place_that_exists() {
    for place in RULES.iter().flat_map(|rule| rule.except.iter().chain(rule.folders)) {
        assert!(crate::repository().join(place).exists(), "{place} is gone");
    }
}

/// I8 by the compiler: another variant, or one fewer, does not build.
#[test]
fn a_reading_is_known_absent_or_unavailable() {
    use zkprov_plans::observed::{Gap, Reading};
    let word = |reading: &Reading<u8>| match reading {
        Reading::Known(_) => "known",
        Reading::Absent => "absent",
        Reading::Unavailable(Gap { what: _, why: _, hint: _ }) => "unavailable",
    };
    let gap = Gap { what: String::new(), why: String::new(), hint: String::new() };
    let all = [Reading::Known(1), Reading::Absent, Reading::Unavailable(gap)];
    assert_eq!(all.each_ref().map(word), ["known", "absent", "unavailable"]);
    // Only what is known has a value.
    assert_eq!(all.each_ref().map(|reading| reading.known().is_some()), [true, false, false]);
}
