//! Which crate may depend on which, by `cargo metadata`.

use crate::repository;
use crate::source::CRATES;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

/// What each of our crates may use of the others, in what is shipped. Tests may use anything.
const DIRECTION: &[(&str, &[&str])] = &[
    ("zkprov-plans", &[]),
    ("zkprov-templates", &["zkprov-plans"]),
    ("zkprov-engine", &["zkprov-plans", "zkprov-templates"]),
    ("zkprov-emulator-common", &[]),
    ("zkprov-emulator-google", &["zkprov-emulator-common"]),
    ("zkprov-emulator-kubernetes", &["zkprov-emulator-common"]),
    ("zkprov-emulator-exhibitor", &["zkprov-emulator-common"]),
    (
        "zkprov-sandbox",
        &[
            "zkprov-emulator-common",
            "zkprov-emulator-exhibitor",
            "zkprov-emulator-google",
            "zkprov-emulator-kubernetes",
        ],
    ),
    ("zkprov", &["zkprov-engine", "zkprov-plans", "zkprov-sandbox", "zkprov-templates"]),
    ("zkprov-tests", &["zkprov", "zkprov-sandbox"]),
];

/// Everything that `plans` and `templates` may pull in: parsers, data structures, text. None does I/O. A new name here is
/// a decision: look at what it does first.
const PURE: &[&str] = &[
    "annotate-snippets",
    "anstyle",
    "arraydeque",
    "base64",
    "block-buffer",
    "bstr",
    "cfg-if",
    "cmov",
    "const-oid",
    "core_detect",
    "cpufeatures",
    "crypto-common",
    "ctutils",
    "digest",
    "dyn-clone",
    "encoding_rs",
    "encoding_rs_io",
    "equivalent",
    "foldhash",
    "generic-array",
    "granit-parser",
    "hashbrown",
    "hex",
    "hybrid-array",
    "indexmap",
    "itoa",
    "libc",
    "memchr",
    "minijinja",
    "multiversion_no_op",
    "nohash-hasher",
    "num-traits",
    "proc-macro2",
    "quote",
    "ref-cast",
    "ref-cast-impl",
    "schemars",
    "schemars_derive",
    "scopeguard",
    "serde",
    "serde-saphyr",
    "serde_core",
    "serde_derive",
    "serde_derive_internals",
    "serde_json",
    "sha2",
    "simdutf8",
    "similar",
    "smallvec",
    "strsim",
    "syn",
    "thiserror",
    "thiserror-impl",
    "typenum",
    "unicode-ident",
    "unicode-width",
    "version_check",
    "zkprov-plans",
    "zkprov-templates",
    "zmij",
];

/// Crates of the lock file that must not be linked: one TLS provider, see docs/decisions/001-ring-only.md.
const UNWANTED: &[&str] = &["aws-lc-rs", "aws-lc-sys", "openssl-sys", "native-tls"];

/// The triple of this machine: only what is built here is surely there without a network.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").current_dir(repository()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform"])
        .arg(host())
        .current_dir(repository())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What is shipped of the resolved packages: no dependency of tests and build scripts. Two versions of a crate are two
/// packages.
struct Graph {
    /// Names, by package id.
    names: BTreeMap<String, String>,
    /// What a package uses, by package id.
    uses: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> &'static Self {
        static GRAPH: LazyLock<Graph> = LazyLock::new(|| Graph::of(&metadata()));
        &GRAPH
    }

    fn of(metadata: &Value) -> Self {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        let names = list(&metadata["packages"])
            .iter()
            .map(|package| (text(package, "id").to_owned(), text(package, "name").to_owned()))
            .collect();
        let mut uses: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for node in list(&metadata["resolve"]["nodes"]) {
            let used = uses.entry(text(&node, "id").to_owned()).or_default();
            for dependency in list(&node["deps"]) {
                if list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"].is_null()) {
                    used.insert(text(&dependency, "pkg").to_owned());
                }
            }
        }
        Self { names, uses }
    }

    /// Our own crates: names by package id.
    fn ours(&self) -> impl Iterator<Item = (&String, &String)> {
        self.names.iter().filter(|(_, name)| *name == "zkprov" || name.starts_with("zkprov-"))
    }

    fn id(&self, krate: &str) -> &String {
        self.ours().find(|(_, name)| *name == krate).unwrap().0
    }

    /// The names of everything that a crate of ours pulls in, itself included.
    fn closure(&self, krate: &str) -> BTreeSet<String> {
        let (mut found, mut open) = (BTreeSet::new(), vec![self.id(krate)]);
        while let Some(id) = open.pop() {
            if found.insert(id) {
                open.extend(self.uses.get(id).into_iter().flatten());
            }
        }
        found.into_iter().map(|id| self.names[id].clone()).collect()
    }
}

/// What stands in a closure and not in the list.
fn beyond(closure: &BTreeSet<String>, list: &[&str]) -> Vec<String> {
    closure.iter().filter(|name| !list.contains(&name.as_str())).cloned().collect()
}

#[test]
fn our_crates_depend_on_each_other_in_one_direction() {
    let graph = Graph::read();
    let ours: BTreeMap<&String, &String> = graph.ours().collect();
    for (krate, allowed) in DIRECTION {
        let used = graph.uses[graph.id(krate)].iter().filter_map(|id| ours.get(id));
        let wrong: Vec<_> = used.filter(|name| !allowed.contains(&name.as_str())).collect();
        assert!(wrong.is_empty(), "{krate} must not depend on {wrong:?}");
    }
    let listed: BTreeSet<&str> = DIRECTION.iter().map(|(name, _)| *name).collect();
    let members: BTreeSet<&str> = ours.values().map(|name| name.as_str()).collect();
    assert_eq!(listed, members, "a new crate needs a place in DIRECTION");
}

#[test]
fn every_crate_is_where_the_rules_look() {
    let metadata = metadata();
    let ours = metadata["packages"].as_array().unwrap().iter();
    let ours = ours.filter(|package| package["source"].is_null());
    let folders: Vec<&Path> = ours.map(|package| Path::new(text(package, "manifest_path"))).collect();
    assert!(folders.len() >= DIRECTION.len(), "{folders:?}");
    for manifest in folders {
        let known = |folder: &&str| manifest.starts_with(repository().join(folder));
        assert!(CRATES.iter().any(known), "{}: name its folder in CRATES", manifest.display());
    }
}

#[test]
fn the_pure_crates_link_nothing_that_does_io() {
    let graph = Graph::read();
    for krate in ["zkprov-plans", "zkprov-templates"] {
        let strangers = beyond(&graph.closure(krate), PURE);
        assert!(strangers.is_empty(), "{krate} now links {strangers:?}: pure? then list it in PURE");
    }
    // The check can fail: the engine is full of I/O.
    let strangers = beyond(&graph.closure("zkprov-engine"), PURE);
    assert!(strangers.iter().any(|name| name == "tokio"), "{strangers:?}");
}

#[test]
fn the_emulators_link_nothing_that_serves() {
    let graph = Graph::read();
    for krate in ["common", "exhibitor", "google", "kubernetes"] {
        let closure = graph.closure(&format!("zkprov-emulator-{krate}"));
        let serving: Vec<_> = closure
            .iter()
            .filter(|name| ["tokio", "mio", "hyper", "rusqlite"].contains(&name.as_str()))
            .collect();
        assert!(serving.is_empty(), "zkprov-emulator-{krate} now links {serving:?}");
    }
}

#[test]
fn one_tls_provider_is_locked() {
    let lock = std::fs::read_to_string(repository().join("Cargo.lock")).unwrap();
    let locked = |name: &str| lock.contains(&format!("name = \"{name}\"\n"));
    assert!(locked("ring"), "the lock file is not read right");
    let found: Vec<_> = UNWANTED.iter().filter(|name| locked(name)).collect();
    assert!(found.is_empty(), "{found:?} in Cargo.lock");
}
