//! What a stranger's project is like: quotas, policies of the organisation, missing roles, networks and answers.
//!
//! A new world has everything that a test wants: no quota is short, nothing is forbidden, every list is whole. Real projects
//! are not so. Each switch here makes the APIs refuse what Google's refuse in such a project, in Google's words; all of them
//! are off in a new world. They are kept in the world, so whoever serves its directory later has them on as well.
//!
//! All of it acts on the whole world from outside of the APIs: before a request is handed to its API ([`refuse`]), and on
//! the answer ([`Before::judge`]). The APIs themselves know nothing of it.

mod key;
mod network;
mod partial;
mod policies;
mod quotas;
mod rates;
mod roles;
#[cfg(test)]
mod tests;
mod words;

pub use key::{Api, Constraint, Key, Role, Setting, Switch, SwitchError};
pub use rates::Rates;

use crate::api::{Request, Service};
use crate::google::compute::Compute;
use crate::google::compute::usage::{Metric, Usages};
use crate::google::container::Container;
use crate::kubernetes::Answer;
use crate::world::World;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The switches that are on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Reality {
    on: BTreeMap<Key, Setting>,
}

/// Switches that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Preset {
    /// Nothing is short, nothing forbidden.
    Default,
    /// A new project of a paying customer: the larger of the quotas that new projects were seen with.
    New,
    /// A project on trial: the smaller of them.
    Trial,
    /// A project in an organisation that takes Google's advice: its policies, no default network, no role for the default
    /// service account.
    Strict,
}

impl Preset {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Default, Self::New, Self::Trial, Self::Strict];

    /// `new`
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::New => "new",
            Self::Trial => "trial",
            Self::Strict => "strict",
        }
    }

    /// Sizes: kubeflow/pipelines#10907, terraform-google-modules/terraform-google-kubernetes-engine#1795 (250 GB),
    /// kubernetes-hy/kubernetes-hy.github.io#166 (500 GB), googlecodelabs/feedback#950 (8 CPUs, 4 addresses),
    /// amygdala/tensorflow-workshop#13 (24 CPUs without, 8 with a trial). GKE's quotas page: 100 zonal clusters a zone.
    fn switches(self) -> Vec<(Key, Setting)> {
        let quotas = |ssd, cpus, addresses| {
            vec![
                (Key::Quota(Metric::SsdTotalGb), Setting::Limit(ssd)),
                (Key::Quota(Metric::Cpus), Setting::Limit(cpus)),
                (Key::Quota(Metric::InUseAddresses), Setting::Limit(addresses)),
                (Key::ZonalClusters, Setting::Limit(100)),
            ]
        };
        match self {
            Self::Default => Vec::new(),
            Self::New => quotas(500, 24, 8),
            Self::Trial => quotas(250, 8, 4),
            Self::Strict => {
                let policies = Constraint::ALL.map(Key::Policy);
                let others = [Key::DefaultNetwork, Key::DefaultServiceAccount];
                let on = policies.into_iter().chain(others).map(|key| (key, Setting::On));
                on.chain([(Key::ZonalClusters, Setting::Limit(100))]).collect()
            }
        }
    }
}

impl FromStr for Preset {
    type Err = SwitchError;

    fn from_str(text: &str) -> Result<Self, SwitchError> {
        Self::ALL.into_iter().find(|preset| preset.name() == text).ok_or_else(|| words::no_preset(text))
    }
}

/// How the switches are to be changed: first to a preset, if there is one, then one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// All switches become those of the preset.
    pub like: Option<Preset>,
    /// These switches besides.
    pub set: Vec<Switch>,
}

impl Change {
    /// Whether nothing is changed by it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.like.is_none() && self.set.is_empty()
    }

    /// Reads `{"like": "trial", "set": {"quota.CPUS": 8}}`, of which either part may be missing; `null` switches off.
    ///
    /// # Errors
    /// When there is anything else in it, or a switch that is not known or does not take its value.
    pub fn read(body: &Value) -> Result<Self, SwitchError> {
        let fields = body.as_object().ok_or_else(words::change_form)?;
        if fields.keys().any(|field| !["like", "set"].contains(&field.as_str())) {
            return Err(words::change_form());
        }
        let like = match fields.get("like") {
            None | Some(Value::Null) => None,
            Some(name) => Some(name.as_str().ok_or_else(words::change_form)?.parse()?),
        };
        let mut set = Vec::new();
        if let Some(switches) = fields.get("set") {
            for (key, value) in switches.as_object().ok_or_else(words::change_form)? {
                set.push(match value {
                    Value::Null => Switch { setting: None, ..key_of(key)? },
                    Value::String(text) => Switch::read(key, text)?,
                    Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                        Switch::read(key, &value.to_string())?
                    }
                });
            }
        }
        Ok(Self { like, set })
    }
}

/// The switch of this name, off.
fn key_of(name: &str) -> Result<Switch, SwitchError> {
    let known = Key::all().into_iter().find(|key| key.to_string() == name);
    match known {
        Some(key) => Ok(Switch { key, setting: None }),
        None => Switch::read(name, ""),
    }
}

impl From<Preset> for Reality {
    fn from(preset: Preset) -> Self {
        Self { on: preset.switches().into_iter().collect() }
    }
}

impl From<Reality> for BTreeMap<String, String> {
    fn from(reality: Reality) -> Self {
        reality.on.iter().map(|(key, setting)| (key.to_string(), key::text_of(*key, setting))).collect()
    }
}

impl TryFrom<BTreeMap<String, String>> for Reality {
    type Error = SwitchError;

    fn try_from(switches: BTreeMap<String, String>) -> Result<Self, SwitchError> {
        let mut reality = Self::default();
        for (key, value) in switches {
            reality.set(Switch::read(&key, &value)?);
        }
        Ok(reality)
    }
}

impl Reality {
    /// Sets one switch.
    pub fn set(&mut self, switch: Switch) {
        match switch.setting {
            Some(setting) => drop(self.on.insert(switch.key, setting)),
            None => drop(self.on.remove(&switch.key)),
        }
    }

    /// Sets several.
    pub fn apply(&mut self, change: &Change) {
        if let Some(preset) = change.like {
            *self = preset.into();
        }
        change.set.iter().cloned().for_each(|switch| self.set(switch));
    }

    /// Whether a switch is on.
    #[must_use]
    pub fn is_on(&self, key: Key) -> bool {
        self.on.contains_key(&key)
    }

    /// The limit that a switch sets, if it is on.
    #[must_use]
    pub fn limit(&self, key: Key) -> Option<u64> {
        match self.on.get(&key)? {
            Setting::Limit(limit) => Some(*limit),
            Setting::On | Setting::Places(_) => None,
        }
    }

    /// The zones and regions that a switch names, if it is on.
    #[must_use]
    pub fn places(&self, key: Key) -> Option<&BTreeSet<String>> {
        match self.on.get(&key)? {
            Setting::Places(places) => Some(places),
            Setting::On | Setting::Limit(_) => None,
        }
    }

    /// Which switches are on, and which preset that is: `{"like": "trial", "on": {"quota.CPUS": "8", ...}}`. `like` is
    /// missing when it is none.
    #[must_use]
    pub fn summary(&self) -> Value {
        let preset = Preset::ALL.into_iter().find(|preset| Self::from(*preset) == *self);
        let mut summary = json!({ "on": BTreeMap::from(self.clone()) });
        if let Some(preset) = preset {
            summary["like"] = json!(preset.name());
        }
        summary
    }

    fn is_plain(&self) -> bool {
        self.on.is_empty()
    }
}

/// Why the project refuses a request before its API sees it; `None` when it does not.
pub(crate) fn refuse(world: &World, request: &Request) -> Option<Answer> {
    let reality = &world.reality;
    if reality.is_plain() {
        return None;
    }
    roles::refuse(reality, request)
        .or_else(|| network::refuse(reality, request))
        .or_else(|| policies::refuse(reality, request))
        .or_else(|| quotas::refuse_cluster(reality, &world.google.container, request))
        .map(Answer::Done)
}

/// What was before a request, as far as its answer is to be judged by that.
#[derive(Debug)]
pub(crate) struct Before {
    /// For a change that may need more than there is.
    quotas: Option<(Usages, Undo)>,
}

/// The API as it was, to be put back.
#[derive(Debug)]
enum Undo {
    Compute(Box<Compute>),
    Container(Box<Container>),
}

impl Before {
    /// Remembers what the request may change.
    pub(crate) fn of(world: &World, request: &Request) -> Self {
        let changes = request.method != "GET" && !request.path.ends_with("/wait");
        let limited = Metric::ALL.iter().any(|metric| world.reality.is_on(Key::Quota(*metric)));
        if !changes || !limited {
            return Self { quotas: None };
        }
        let undo = match &request.service {
            Service::Compute => Some(Undo::Compute(Box::new(world.google.compute.clone()))),
            Service::Container => Some(Undo::Container(Box::new(world.google.container.clone()))),
            Service::Filestore | Service::Storage | Service::Kubernetes(_) => None,
        };
        Self { quotas: undo.map(|undo| (world.usages(), undo)) }
    }

    /// The answer as the project lets it through. What was over a quota has not happened then.
    pub(crate) fn judge(self, world: &mut World, request: &Request, answer: Answer) -> Answer {
        if world.reality.is_plain() {
            return answer;
        }
        let Answer::Done(mut response) = answer else { return answer };
        if !(200..300).contains(&response.status) {
            return Answer::Done(response);
        }
        if let Some((usages, undo)) = self.quotas
            && let Some(refusal) = quotas::over(world, &usages, undo, request, &response)
        {
            return Answer::Done(refusal);
        }
        policies::spoil_nodes(world, request, &response);
        quotas::show(world, request, &mut response);
        partial::cut(&world.reality, request, &mut response);
        network::hide(&world.reality, request, &mut response);
        roles::mark_clusters(&world.reality, request, &mut response);
        Answer::Done(response)
    }
}

impl World {
    /// What stands in each project and region, as quotas count it.
    #[must_use]
    pub fn usages(&self) -> Usages {
        let mut usages = self.google.compute.usages();
        usages.add(&self.google.container.usages());
        usages
    }
}
