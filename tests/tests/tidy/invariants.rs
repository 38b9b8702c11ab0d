//! The invariants that clippy holds, by the `clippy.toml` of each crate: lines that break one are refused, however they spell it.

use crate::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

/// A folder of crates whose `clippy.toml` refuses each of these lines, and none of those.
struct House {
    of: &'static str,
    /// Crates that the lines name, with what they are taken from.
    needs: &'static [&'static str],
    refused: &'static [&'static str],
    fine: &'static [&'static str],
}

const PURE: &[&str] = &[
    "{ use std::time::UNIX_EPOCH; let _ = UNIX_EPOCH.elapsed(); }",
    "{ use std::time::SystemTime as Clock; let _ = Clock::now(); }",
    "{ use std::{env as e, fs}; let _ = (e::var(\"HOME\"), fs::read(\"x\")); }",
    "{ let read = std::fs::read_to_string::<&str>; let _ = read(\"x\"); }",
    "{ let _ = std::collections::HashMap::<u8, u8>::from([(1, 2)]).iter().next(); }",
    "{ let _ = std::hash::RandomState::new(); }",
    "{ use std::thread; thread::spawn(|| ()); }",
    "{ let _ = std::net::TcpStream::connect((\"127.0.0.1\", 1)); }",
];

const HOUSES: [House; 6] = [
    House {
        of: "plans",
        needs: &[],
        refused: PURE,
        fine: &[
            "{ let _ = std::net::Ipv4Addr::LOCALHOST; }",
            "{ let _ = std::collections::BTreeMap::<u8, u8>::new(); }",
        ],
    },
    House {
        of: "templates",
        needs: &["zkprov-plans = { path = \"PLANS\" }"],
        refused: &[
            "{ use zkprov_plans::observed as seen; let _ = None::<seen::Reading<u8>>; }",
            "{ use zkprov_plans::plan::*; let _ = None::<&Plan>; }",
            "{ let _ = std::fs::read(\"x\"); }",
        ],
        fine: &["{ let _ = None::<&zkprov_plans::spec::ValidSpec>; }"],
    },
    House {
        of: "emulators",
        needs: &[],
        refused: &[
            "{ use std::{fs, thread}; let _ = fs::read(\"x\"); thread::sleep(std::time::Duration::ZERO); }",
            "{ use std::time::UNIX_EPOCH; let _ = UNIX_EPOCH.elapsed(); }",
        ],
        fine: &["{ let _ = std::net::Ipv4Addr::LOCALHOST; }"],
    },
    House {
        of: "sandbox",
        needs: &[],
        refused: &["{ use std::time as t; let _ = t::SystemTime::now(); }"],
        fine: &["{ let _ = std::time::Duration::ZERO; }"],
    },
    House {
        of: "engine",
        needs: &[],
        refused: &[
            "{ use std::{env as e, time}; let _ = (e::var(\"HOME\"), time::SystemTime::now()); }",
            "{ use std::io::{Write, stdout as out}; let _ = write!(out(), \"x\"); }",
            "{ use std::process::Command as Child; let _ = Child::new(\"x\"); }",
        ],
        fine: &["{ let _ = std::time::Instant::now(); }"],
    },
    House {
        of: "cli",
        needs: &["zkprov-plans = { path = \"PLANS\" }"],
        refused: &[
            "{ use std::io::{Write, stderr as err}; let _ = write!(err(), \"x\"); }",
            "{ let _ = std::env::args(); }",
            "{ use zkprov_plans::saved::{Approval, approve as consent}; let _ = |plan| consent(plan, Approval::Flag); }",
            "{ let consent = zkprov_plans::saved::approve; let _ = consent; }",
        ],
        fine: &["{ let _ = std::fs::read(\"zkprov.yaml\"); }"],
    },
];

#[test]
fn what_breaks_an_invariant_is_refused_by_clippy() {
    for house in HOUSES {
        let lines: Vec<&str> = house.refused.iter().chain(house.fine).copied().collect();
        let found = refused(&house, &lines);
        let wanted: BTreeSet<usize> = (0..house.refused.len()).collect();
        let missed: Vec<&str> = wanted.difference(&found).map(|index| lines[*index]).collect();
        let too_many: Vec<&str> = found.difference(&wanted).map(|index| lines[*index]).collect();
        assert!(
            missed.is_empty() && too_many.is_empty(),
            "{}: passes {missed:#?}, refuses {too_many:#?}",
            house.of
        );
    }
}

/// The lines that clippy refuses in a crate with the house's configuration, by their number.
fn refused(house: &House, lines: &[&str]) -> BTreeSet<usize> {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let plans = repository().join("plans").display().to_string();
    let needs = house.needs.join("\n").replace("PLANS", &plans);
    let manifest = format!(
        "[package]\nname = \"scratch\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[dependencies]\n{needs}\n[workspace]\n"
    );
    fs::create_dir(at("src")).unwrap();
    fs::write(at("Cargo.toml"), manifest).unwrap();
    fs::copy(repository().join(house.of).join("clippy.toml"), at("clippy.toml")).unwrap();
    // The versions that everything else is built with.
    fs::copy(repository().join("Cargo.lock"), at("Cargo.lock")).unwrap();
    let functions = lines.iter().enumerate().map(|(index, line)| format!("pub fn line_{index}() {line}\n"));
    fs::write(at("src/lib.rs"), functions.collect::<String>()).unwrap();
    clippy(folder.path())
}

/// Numbers of the lines of `src/lib.rs` that a disallowed item stands in, from 0.
fn clippy(folder: &Path) -> BTreeSet<usize> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| repository().join("target"), Into::into);
    let output = Command::new(env!("CARGO"))
        .args(["clippy", "--quiet", "--offline", "--message-format", "json", "--lib"])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", target.join("tidy"))
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let messages = told.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let mut found = BTreeSet::new();
    for message in messages {
        let message = &message["message"];
        let code = message["code"]["code"].as_str().unwrap_or_default();
        assert_ne!(message["level"], "error", "{}", message["rendered"].as_str().unwrap_or_default());
        if code.starts_with("clippy::disallowed_") {
            let lines = message["spans"].as_array().into_iter().flatten();
            found.extend(lines.filter_map(|span| usize::try_from(span["line_start"].as_u64()? - 1).ok()));
        }
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    found
}
