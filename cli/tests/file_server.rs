//! The file server's start-up script in a real Linux guest: `tests/real/file-server` boots it and checks from outside what
//! it serves; what the script reported meanwhile is then read as `zkprov apply` reads it.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use zkprov_plans::readiness::{Verdict, file_server};
use zkprov_tests::root;

/// One report of the script, with the serial console at that moment.
struct Report {
    name: String,
    attribute: Option<String>,
    serial: String,
    generation: String,
    /// `ready` or `failed`.
    expected: String,
}

fn reports(folder: &Path) -> Vec<Report> {
    let mut folders: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let read = |folder: &Path| {
        let text = |name: &str| String::from_utf8_lossy(&fs::read(folder.join(name)).unwrap()).into_owned();
        Report {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            attribute: fs::read_to_string(folder.join("attribute")).ok(),
            serial: text("serial"),
            generation: text("generation").trim().to_owned(),
            expected: text("expected").trim().to_owned(),
        }
    };
    folders.iter().map(|folder| read(folder)).collect()
}

/// What the product takes a report for, if that is not what was meant.
fn misunderstood(report: &Report) -> Option<String> {
    let verdict = file_server(report.attribute.as_deref(), Some(&report.serial), &report.generation);
    let understood = match &verdict {
        Verdict::Ready => report.expected == "ready",
        Verdict::Progressing(_) => false,
        Verdict::Failed { reason, .. } => {
            let last = reason.lines().last().unwrap_or_default();
            report.expected == "failed"
                && reason.contains("its last lines:\n")
                && last.contains("FAILED generation=")
        }
    };
    let Report { name, expected, attribute, .. } = report;
    (!understood).then(|| format!("report {name} ({attribute:?}) is not {expected}: {verdict:?}"))
}

#[test]
#[ignore = "takes minutes and needs root: tests/run runs it"]
fn the_start_up_script_serves_from_a_real_guest() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = Command::new(root().join("tests/real/file-server/check"));
    let status = check.arg(env!("CARGO_BIN_EXE_zkprov")).arg(folder.path()).status().unwrap();
    assert!(status.success(), "{check:?}: {status}");
    let reports = reports(folder.path());
    let wrong: Vec<String> = reports.iter().filter_map(misunderstood).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (expected, by_attribute) in [("ready", true), ("failed", true), ("ready", false)] {
        let seen =
            |report: &Report| report.expected == expected && report.attribute.is_some() == by_attribute;
        assert!(reports.iter().any(seen), "no report is {expected}, attribute {by_attribute}");
    }
    println!("{} reports of the script are understood", reports.len());
}
