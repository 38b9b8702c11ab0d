//! Every option of the file: changed on an applied ensemble, the plan shows what it changes and why, the apply makes it
//! so, and the plan after that is empty. What cannot change in place says what replacing costs, or is refused.

mod tables;

use crate::harness::{Lab, Planned, block_on, example, specs};
use serde_json::Value;
use std::collections::BTreeSet;
use tables::*;
use zkprov_plans::plan::{Action, Change, FieldChange};

impl Row {
    /// Whether a field differs because of this row's key.
    fn causes(&self, field: &FieldChange) -> bool {
        let cause = field.cause.as_deref().unwrap_or("nobody");
        self.key.strip_prefix(cause).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    fn check(&self, planned: &Planned) -> Result<(), String> {
        // An ensemble is changed in several steps: some only prepare a roll.
        let changes = |resource: &str| {
            let named =
                |change: &&Change| format!("{} {}", change.id.kind.word(), change.id.name) == resource;
            let found: Vec<&Change> =
                planned.plan.changes().map(|(_, change)| change).filter(named).collect();
            if found.is_empty() { Err(format!("{resource} does not change")) } else { Ok(found) }
        };
        let acts = |resource: &str, action: Action| {
            let found: Vec<Action> = changes(resource)?.iter().map(|change| change.action).collect();
            if found.iter().all(|one| *one == action) {
                Ok(())
            } else {
                Err(format!("{resource}: {found:?}, not {action:?}"))
            }
        };
        let field = |resource: &str, path: &str| {
            let changes = changes(resource)?;
            let fields = || changes.iter().flat_map(|change| &change.diff);
            let field = fields().find(|field| field.path == path);
            let field = field.ok_or_else(|| {
                let paths: Vec<_> = fields().map(|field| &field.path).collect();
                format!("{resource}: {path} does not differ, but {paths:?}")
            })?;
            if self.causes(field) {
                Ok(())
            } else {
                Err(format!("{path} differs because of {:?}", field.cause))
            }
        };
        match self.shows {
            Field(resource, path) => {
                acts(resource, Action::Update)?;
                field(resource, path)
            }
            Creates(resource) => acts(resource, Action::Create),
            Deletes(resource) => acts(resource, Action::Delete),
            Replaces(resource, path, cost) => {
                acts(resource, Action::Replace)?;
                field(resource, path)?;
                let changes = changes(resource)?;
                let notes: Vec<&String> = changes.iter().flat_map(|change| &change.notes).collect();
                let says = notes.iter().any(|note| note.contains(cost));
                if says { Ok(()) } else { Err(format!("no note says `{cost}`: {notes:?}")) }
            }
            Refuses(code, words) => {
                let mut fatal = planned.plan.findings.iter().filter(|finding| finding.fatal);
                let says = |text: &str| text.contains(words);
                if fatal.any(|one| one.code == code && (says(&one.message) || says(&one.fix))) {
                    Ok(())
                } else {
                    Err(format!("not refused as {code} with `{words}`"))
                }
            }
        }
    }

    /// Networks are somebody else's, and the embedded cloud has only the one that every project has. The tutorial's
    /// image starts Exhibitor on one port.
    fn can_be_applied(&self) -> bool {
        let elsewhere = self.key.ends_with("network") || self.key == "spec.exhibitor.apiPort";
        !(elsewhere || matches!(self.shows, Refuses(..)))
    }

    /// What the plan says is what the row says.
    async fn plan(&self, lab: &Lab, text: &str) -> Result<(), String> {
        let planned = lab.plan(&specs(text, self.set)[0]).await;
        self.check(&planned).map_err(|what| format!("{}: {what}\n{}", self.set.join(" "), planned.words()))
    }
}

/// Applies overrides; the plan after that is empty.
async fn settle(lab: &Lab, text: &str, set: &[&str]) -> Result<(), String> {
    let spec = &specs(text, set)[0];
    let told = |what: String| format!("{}: {what}", set.join(" "));
    lab.apply(spec).await.map_err(|error| told(format!("not applied: {error}")))?;
    let again = lab.plan(spec).await;
    if again.is_empty() { Ok(()) } else { Err(told(format!("not settled:\n{}", again.words()))) }
}

/// An applied example.
async fn applied(name: &str, set: &[&str]) -> (Lab, String) {
    let (lab, text) = (Lab::start().await, example(name));
    lab.apply(&specs(&text, set)[0]).await.unwrap();
    (lab, text)
}

/// Proves rows one after the other, each on the same applied world.
async fn each(name: &str, base: &[&str], rows: &[Row]) {
    let (lab, text) = applied(name, base).await;
    let world = lab.running.world().unwrap();
    let mut failures = Vec::new();
    for row in rows {
        lab.running.restore(world.clone()).unwrap();
        failures.extend(row.plan(&lab, &text).await.err());
        if row.can_be_applied() {
            failures.extend(settle(&lab, &text, row.set).await.err());
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Proves the plan of each row, then applies all rows at once: what replaces every member takes its time.
async fn together(name: &str, rows: &[Row]) {
    let (lab, text) = applied(name, &[]).await;
    let mut failures = Vec::new();
    for row in rows {
        failures.extend(row.plan(&lab, &text).await.err());
    }
    let sets: Vec<&str> =
        rows.iter().filter(|row| row.can_be_applied()).flat_map(|row| row.set).copied().collect();
    failures.extend(settle(&lab, &text, &sets).await.err());
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn options_of_the_file_server() {
    block_on(each("tutorial", &[], MACHINES));
}

#[test]
fn options_of_the_boot_disk() {
    block_on(together("tutorial", BOOT));
}

#[test]
fn options_of_the_script() {
    block_on(together("tutorial", SCRIPT));
}

#[test]
fn options_of_the_share() {
    block_on(each("tutorial", &[], SHARES));
}

#[test]
fn options_of_the_cluster() {
    // Each node is replaced: members without volumes come back under new addresses, and Exhibitor's own management, which takes
    // them in, may be in the middle of a change when the next node goes.
    block_on(together("persistent", CLUSTER));
}

#[test]
fn options_of_the_release_channel() {
    block_on(each("tutorial", &[], CHANNEL));
}

#[test]
fn options_of_the_pods() {
    block_on(together("tutorial", PODS));
}

#[test]
fn options_of_the_size() {
    block_on(each("tutorial", &[], REPLICAS));
}

#[test]
fn options_of_access() {
    block_on(each("tutorial", &[], ACCESS));
}

#[test]
fn a_service_that_is_no_longer_headless() {
    block_on(each("tutorial", &["spec.exhibitor.exposure=headless"], HEADLESS));
}

#[test]
fn labels_that_are_no_longer_there() {
    const BASE: [&str; 2] =
        ["metadata.labels={env: test, team: search}", "spec.cluster.labels={cost: search}"];
    block_on(each("tutorial", &BASE, LABELS));
}

#[test]
fn nodes_that_are_no_longer_private() {
    block_on(each("tutorial", &["spec.cluster.privateNodes=true"], PRIVATE));
}

#[test]
fn options_of_the_settings() {
    block_on(each("tutorial", &[], SETTINGS));
}

#[test]
fn options_of_backups() {
    block_on(each("tutorial", &["spec.exhibitor.settings.backup={}"], BACKUPS));
}

#[test]
fn options_of_filestore() {
    block_on(each("filestore", &[], FILESTORE));
}

#[test]
fn options_of_snapshots() {
    block_on(each("production", &[], SNAPSHOTS));
}

#[test]
fn options_of_scheduled_backups() {
    block_on(each("production", &[], SCHEDULE));
}

#[test]
fn snapshots_that_are_no_longer_wanted() {
    block_on(each("tutorial", &["spec.fileServer.singleNode.snapshots={}"], NO_SNAPSHOTS));
}

#[test]
fn options_of_an_external_server() {
    block_on(each("external-nfs", &[], EXTERNAL));
}

#[test]
fn options_of_volumes() {
    block_on(each("persistent", &["spec.exhibitor.replicas=5"], VOLUMES));
}

/// The keys of a schema that hold no other keys.
fn leaves(schema: &Value, path: &str, out: &mut BTreeSet<String>) {
    match schema["properties"].as_object() {
        Some(properties) => {
            for (name, property) in properties {
                let below = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                leaves(property, &below, out);
            }
        }
        None => drop(out.insert(path.to_owned())),
    }
}

#[test]
fn every_option_has_a_row_or_a_reason() {
    let mut options = BTreeSet::new();
    leaves(&serde_json::to_value(zkprov_plans::spec::schema()).unwrap(), "", &mut options);
    let tables = [
        MACHINES,
        BOOT,
        REPLICAS,
        SCRIPT,
        SHARES,
        CLUSTER,
        CHANNEL,
        PODS,
        ACCESS,
        HEADLESS,
        SETTINGS,
        BACKUPS,
        FILESTORE,
        SNAPSHOTS,
        SCHEDULE,
        NO_SNAPSHOTS,
        EXTERNAL,
        VOLUMES,
    ];
    let rows = tables.into_iter().flatten().map(|row| row.key);
    let known: BTreeSet<String> =
        rows.chain(WITHOUT.iter().map(|(key, _)| *key)).map(str::to_owned).collect();
    assert_eq!(options, known);
}
