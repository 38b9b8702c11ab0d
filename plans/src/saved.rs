//! Saved plans and approval: what may be carried out, and whether it is still what was approved.

use crate::check::CheckedPlan;
use crate::diagnostic::Severity;
use crate::plan::{Change, Finding, Mode, Plan, Step, StepKind};
use crate::resource::ResourceId;
use crate::spec::{Inputs, ValidSpec};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// Version of the plan file and of `--format json`; raised when a reader of the old form would be misled.
pub const FORMAT_VERSION: &str = "1.0";

/// A plan that somebody approved. The executor takes nothing else.
#[derive(Debug, Clone, PartialEq)]
pub struct ApprovedPlan {
    plan: Plan,
}

/// Who approved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approval {
    /// The user answered the prompt (or typed the ensemble's name).
    Prompt,
    /// `--yes` or `--confirm NAME` was given.
    Flag,
    /// A plan file whose digest holds, equal to what would be planned now.
    PlanFile,
}

/// Approves a plan that was checked.
///
/// # Errors
/// The fatal findings, when there are any; a plan with gaps is never approved, nor one that only looks.
pub fn approve(plan: CheckedPlan, approval: Approval) -> Result<ApprovedPlan, Vec<Finding>> {
    let plan = plan.into_plan();
    let mut fatal: Vec<Finding> = plan.findings.iter().filter(|finding| finding.fatal).cloned().collect();
    fatal.extend(plan.gaps.iter().map(|gap| Finding {
        fatal: true,
        code: "not-read".to_owned(),
        subject: None,
        message: format!("{} could not be read: {}", gap.what, gap.why),
        fix: gap.hint.clone(),
    }));
    fatal.extend((plan.mode == Mode::RefreshOnly && !plan.steps.is_empty()).then(|| Finding {
        fatal: true,
        code: "only-looks".to_owned(),
        subject: None,
        message: format!(
            "the plan of {} shows what differs, without an order and without gates",
            plan.ensemble
        ),
        fix: "make a plan without `--refresh-only`".to_owned(),
    }));
    match approval {
        Approval::Prompt | Approval::Flag | Approval::PlanFile if fatal.is_empty() => {
            Ok(ApprovedPlan { plan })
        }
        Approval::Prompt | Approval::Flag | Approval::PlanFile => Err(fatal),
    }
}

impl ApprovedPlan {
    /// The plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The content of a plan file: what specs are made of, and plans; no credential, no secret value. Specs themselves are not in it: they
/// are read and validated again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// [`FORMAT_VERSION`].
    pub format_version: String,
    /// Version of zkprov that wrote it.
    pub zkprov_version: String,
    /// What the plans were made for.
    pub inputs: Inputs,
    /// One plan an ensemble, in the order of the files.
    pub plans: Vec<Plan>,
    /// SHA-256 over everything above, hex.
    pub digest: String,
}

/// What the digest of a plan file is taken over.
#[derive(Serialize)]
struct Bare<'a> {
    format_version: &'a str,
    zkprov_version: &'a str,
    inputs: &'a Inputs,
    plans: &'a [Plan],
    digest: &'a str,
}

/// Why a plan file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    /// Not a plan file.
    #[error("this is not a plan file of zkprov")]
    Malformed(#[source] serde_json::Error),
    /// Written by another version.
    #[error("the plan file has format {found}, this zkprov reads {FORMAT_VERSION}")]
    Version {
        /// What the file says.
        found: String,
    },
    /// Changed after it was written.
    #[error("the plan file was changed after it was written: its digest does not hold")]
    Digest,
    /// The files in it are none that this version takes, or of other ensembles than the plans.
    #[error("the files in the plan file are not valid for this zkprov: {0}")]
    Files(String),
}

impl SavedPlan {
    /// Seals plans into a file's content.
    #[must_use]
    pub fn seal(zkprov_version: &str, inputs: Inputs, plans: Vec<Plan>) -> Self {
        let mut saved = Self {
            format_version: FORMAT_VERSION.to_owned(),
            zkprov_version: zkprov_version.to_owned(),
            inputs,
            plans,
            digest: String::new(),
        };
        saved.digest = saved.compute_digest();
        saved
    }

    fn compute_digest(&self) -> String {
        let bare = Bare {
            format_version: &self.format_version,
            zkprov_version: &self.zkprov_version,
            inputs: &self.inputs,
            plans: &self.plans,
            digest: "",
        };
        // Every value of these has a JSON form.
        let text = serde_json::to_vec(&bare).unwrap_or_default();
        hex::encode(Sha256::digest(text))
    }

    /// Reads and verifies a plan file.
    ///
    /// # Errors
    /// When it is not one, of another format, or was changed.
    pub fn open(text: &str) -> Result<Self, SavedPlanError> {
        let saved: Self = serde_json::from_str(text).map_err(SavedPlanError::Malformed)?;
        if saved.format_version != FORMAT_VERSION {
            return Err(SavedPlanError::Version { found: saved.format_version });
        }
        if saved.compute_digest() != saved.digest {
            return Err(SavedPlanError::Digest);
        }
        Ok(saved)
    }

    /// The specs of the plans, validated again, each with its plan.
    ///
    /// # Errors
    /// When the files are not valid for this version.
    pub fn specs(self) -> Result<Vec<(ValidSpec, Plan)>, SavedPlanError> {
        let loaded = self.inputs.load();
        let fault = loaded.diagnostics.iter().find(|finding| finding.severity == Severity::Error);
        if let Some(fault) = fault {
            return Err(SavedPlanError::Files(fault.message.clone()));
        }
        let names = |specs: &[ValidSpec]| specs.iter().map(|spec| spec.name.clone()).collect::<Vec<String>>();
        let planned: Vec<String> = self.plans.iter().map(|plan| plan.ensemble.clone()).collect();
        if names(&loaded.specs) != planned {
            let message = format!("they have the ensembles {}", names(&loaded.specs).join(", "));
            return Err(SavedPlanError::Files(message));
        }
        Ok(loaded.specs.into_iter().zip(self.plans).collect())
    }
}

/// What moved between an approved plan and the plan that would be made now; empty when they are the same.
#[must_use]
pub fn moved(approved: &Plan, now: &Plan) -> Vec<String> {
    let mut lines = Vec::new();
    let (old, new) = (changes(approved), changes(now));
    let word = crate::report::action_word;
    for (key, change) in &old {
        match new.get(key) {
            None => {
                lines.push(format!("{}: approved to {}, nothing to do now", change.id, word(change.action)))
            }
            Some(other) if other.action != change.action => lines.push(format!(
                "{}: approved to {}, would {} now",
                change.id,
                word(change.action),
                word(other.action)
            )),
            Some(other) if other != change => lines.push(difference(change, other)),
            Some(_) => {}
        }
    }
    for (_, change) in new.iter().filter(|(key, _)| !old.contains_key(*key)) {
        lines.push(format!("{}: not in the approved plan, would {} now", change.id, word(change.action)));
    }
    if lines.is_empty() && kinds(approved) != kinds(now) {
        lines.push("the order or the gates of the steps changed".to_owned());
    }
    lines
}

/// Changes by resource and, for the ensemble's several steps, by their number among those of the same resource.
fn changes(plan: &Plan) -> BTreeMap<(&ResourceId, usize), &Change> {
    let mut found = BTreeMap::new();
    for (_, change) in plan.changes() {
        let number = found.keys().filter(|(id, _): &&(&ResourceId, usize)| **id == change.id).count();
        found.insert((&change.id, number), change);
    }
    found
}

fn kinds(plan: &Plan) -> Vec<(&StepKind, &[usize])> {
    plan.steps.iter().map(|Step { kind, after, .. }| (kind, after.as_slice())).collect()
}

fn difference(approved: &Change, now: &Change) -> String {
    let moved = now.diff.iter().find(|field| !approved.diff.contains(field)).map_or_else(
        || "what it rests on is not what was read".to_owned(),
        |field| {
            let show = |value: &Option<serde_json::Value>| {
                value.as_ref().map_or_else(|| "(absent)".to_owned(), ToString::to_string)
            };
            format!("{} is {} now", field.path, show(&field.before))
        },
    );
    format!("{}: {moved}", approved.id)
}
