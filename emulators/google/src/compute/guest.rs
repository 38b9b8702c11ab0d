//! What runs in a VM, as far as it shows: the start-up script of a file server, its report in guest attributes and on
//! the serial console, and whether it exports its share.

use crate::api::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// From power-on to the start-up script.
const BOOT: Time = 8_000;
/// From power-on to the end of a first run, which installs packages.
const FIRST_RUN: Time = 45_000;
/// How long a later run takes.
const LATER_RUN: Time = 5_000;
/// How soon a changed script is noticed without a reboot.
const NOTICED: Time = 1_000;
/// The serial console's memory, in bytes.
const SERIAL_LIMIT: usize = 1 << 20;

/// What a start-up script says about itself. Scripts without a generation do nothing that shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Script {
    generation: String,
    pub(super) share_path: Option<String>,
    /// The data disk it waits for.
    pub(super) device: Option<String>,
    /// Told by metadata to fail.
    fails: bool,
}

impl Script {
    /// Reads the assignments `GENERATION=`, `SHARE_PATH=` and `DEVICE_NAME=` of a script.
    pub(super) fn read(text: &str, fails: bool) -> Option<Self> {
        let value = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix('=')))
                .map(unquote)
        };
        let generation = value("GENERATION")?;
        Some(Self { generation, share_path: value("SHARE_PATH"), device: value("DEVICE_NAME"), fails })
    }
}

/// The first word of shell text, without its quotes.
fn unquote(text: &str) -> String {
    let (mut out, mut quote, mut escaped) = (String::new(), None, false);
    for c in text.chars() {
        match (c, quote) {
            _ if escaped => {
                out.push(c);
                escaped = false;
            }
            ('\\', None | Some('"')) => escaped = true,
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => out.push(c),
            ('\'' | '"', None) => quote = Some(c),
            (_, None) if c.is_whitespace() || c == ';' => break,
            (_, None) => out.push(c),
        }
    }
    out
}

/// A run of the script.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    script: Script,
    starts: Time,
    ends: Time,
    started: bool,
}

/// The inside of one VM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Guest {
    /// Power is on.
    on: bool,
    boot_id: String,
    /// Packages are there.
    installed: bool,
    /// The script of the last run, finished or not.
    last: Option<Script>,
    run: Option<Run>,
    /// Since when it stands still.
    #[serde(default)]
    suspended: Option<Time>,
    /// The path that is exported.
    pub(super) serves: Option<String>,
    pub(super) serial: String,
    /// `NAMESPACE/KEY` to value. They survive reboots.
    pub(super) attributes: BTreeMap<String, String>,
}

impl Guest {
    /// Power on.
    pub(super) fn boot(&mut self, now: Time, script: Option<Script>, boot_id: String) {
        self.on = true;
        self.boot_id = boot_id;
        self.serves = None;
        self.print("[    0.000000] Linux version 6.1.0-37-cloud-amd64 (debian-kernel@lists.debian.org)");
        let ends = if self.installed { now + BOOT + LATER_RUN } else { now + FIRST_RUN };
        self.last.clone_from(&script);
        self.run = script.map(|script| Run { script, starts: now + BOOT, ends, started: false });
    }

    /// The metadata may have changed: another script is run at once.
    pub(super) fn notice(&mut self, now: Time, script: Option<Script>) {
        if !self.on || script.is_none() || script == self.last {
            return;
        }
        self.last.clone_from(&script);
        let takes = if self.installed { LATER_RUN } else { FIRST_RUN };
        let starts = now + NOTICED;
        self.run = script.map(|script| Run { script, starts, ends: starts + takes, started: false });
    }

    /// Everything stands still where it is.
    pub(super) fn suspend(&mut self, now: Time) {
        self.suspended = Some(now);
    }

    /// Everything goes on where it was.
    pub(super) fn resume(&mut self, now: Time) {
        let Some(since) = self.suspended.take() else { return };
        if let Some(run) = &mut self.run {
            run.starts += now.saturating_sub(since);
            run.ends += now.saturating_sub(since);
        }
    }

    /// Whether a share is exported and answers.
    pub(super) fn exports(&self, share: &str) -> bool {
        self.suspended.is_none() && self.serves.as_deref() == Some(share)
    }

    /// Power off.
    pub(super) fn stop(&mut self) {
        self.on = false;
        self.suspended = None;
        self.run = None;
        self.serves = None;
    }

    pub(super) fn next_event(&self) -> Option<Time> {
        self.run
            .as_ref()
            .filter(|_| self.suspended.is_none())
            .map(|run| if run.started { run.ends } else { run.starts })
    }

    /// Carries out what is due. `disks` are the sizes in GB of the attached disks by device name.
    pub(super) fn advance(&mut self, now: Time, disks: &BTreeMap<String, u64>, attributes_on: bool) {
        while let Some(run) = self.run.take() {
            if self.suspended.is_some() {
                self.run = Some(run);
                break;
            }
            let due = if run.started { run.ends } else { run.starts };
            if due > now {
                self.run = Some(run);
                break;
            }
            let boot = self.boot_id.clone();
            let generation = &run.script.generation;
            if run.started {
                self.end_run(&run.script, disks, attributes_on);
            } else {
                self.print(&format!("google_metadata_script_runner[612]: startup-script: fileserver: START generation={generation} boot={boot}"));
                self.report(attributes_on, format!("running generation={generation} boot={boot}"));
                self.run = Some(Run { started: true, ..run });
            }
        }
    }

    fn end_run(&mut self, script: &Script, disks: &BTreeMap<String, u64>, attributes_on: bool) {
        let size = script.device.as_ref().map_or(Some(&0), |device| disks.get(device));
        let failure = match (script.fails, size) {
            (true, _) => Some(("packages", "E: Unable to locate package nfs-kernel-server".to_owned())),
            (false, None) => {
                let device = script.device.clone().unwrap_or_default();
                Some(("disk", format!("no data disk /dev/disk/by-id/google-{device}")))
            }
            (false, Some(_)) => None,
        };
        let (generation, boot) = (&script.generation, self.boot_id.clone());
        let prefix = "google_metadata_script_runner[612]: startup-script: fileserver:";
        match failure {
            Some((step, reason)) => {
                self.serves = None;
                self.print(&format!("{prefix} FAILED generation={generation} step={step} reason={reason}"));
                self.report(
                    attributes_on,
                    format!("failed generation={generation} boot={boot} step={step} reason={reason}"),
                );
            }
            None => {
                self.installed = true;
                self.serves.clone_from(&script.share_path);
                let bytes = size.copied().unwrap_or_default() << 30;
                self.print(&format!("{prefix} READY generation={generation}"));
                self.report(
                    attributes_on,
                    format!("ready generation={generation} boot={boot} bytes={bytes}"),
                );
            }
        }
    }

    fn report(&mut self, attributes_on: bool, status: String) {
        if attributes_on {
            self.attributes.insert("fileserver/status".to_owned(), status);
        } else {
            self.print("google_metadata_script_runner[612]: startup-script: fileserver: note: guest attribute status not written (is enable-guest-attributes set?)");
        }
    }

    fn print(&mut self, line: &str) {
        self.serial.push_str(line);
        self.serial.push_str("\r\n");
        if self.serial.len() > SERIAL_LIMIT {
            let cut = self.serial.len() - SERIAL_LIMIT;
            let cut = (cut..self.serial.len()).find(|at| self.serial.is_char_boundary(*at)).unwrap_or(0);
            self.serial.drain(..cut);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(generation: &str) -> Option<Script> {
        let text =
            format!("#!/bin/sh\nGENERATION='{generation}'   # id\nSHARE_PATH=/data\nDEVICE_NAME=data\n");
        Script::read(&text, false)
    }

    fn status(guest: &Guest) -> &str {
        guest.attributes.get("fileserver/status").map_or("", String::as_str)
    }

    #[test]
    fn shell_words_lose_their_quotes() {
        for (text, word) in [
            ("abc # c", "abc"),
            ("'a b'", "a b"),
            (r#""a\"b" c"#, "a\"b"),
            (r"'it'\''s'", "it's"),
            ("", ""),
            ("x; y", "x"),
        ] {
            assert_eq!(unquote(text), word, "{text}");
        }
    }

    #[test]
    fn a_first_run_installs_and_later_runs_are_short() {
        let disks = BTreeMap::from([("data".to_owned(), 10)]);
        let mut guest = Guest::default();
        guest.boot(0, script("g1"), "b1".into());
        guest.advance(BOOT, &disks, true);
        assert_eq!(status(&guest), "running generation=g1 boot=b1");
        assert_eq!(guest.serves, None);
        guest.advance(FIRST_RUN, &disks, true);
        assert_eq!(status(&guest), "ready generation=g1 boot=b1 bytes=10737418240");
        assert_eq!(guest.serves.as_deref(), Some("/data"));
        guest.notice(100_000, script("g1"));
        assert_eq!(guest.next_event(), None, "the same script is not run again");
        guest.notice(100_000, script("g2"));
        guest.advance(100_000 + NOTICED + LATER_RUN, &disks, true);
        assert_eq!(status(&guest), "ready generation=g2 boot=b1 bytes=10737418240");
    }

    #[test]
    fn a_run_without_its_disk_fails_and_stops_serving() {
        let mut guest = Guest::default();
        guest.boot(0, script("g"), "b".into());
        guest.advance(FIRST_RUN, &BTreeMap::new(), true);
        assert!(status(&guest).starts_with("failed generation=g boot=b step=disk reason="));
        assert_eq!(guest.serves, None);
        assert!(guest.serial.contains("FAILED"));
    }

    #[test]
    fn attributes_need_to_be_enabled() {
        let mut guest = Guest::default();
        guest.boot(0, script("g"), "b".into());
        guest.advance(FIRST_RUN, &BTreeMap::from([("data".to_owned(), 1)]), false);
        assert!(guest.attributes.is_empty());
        assert!(guest.serial.contains("READY generation=g"));
    }
}
