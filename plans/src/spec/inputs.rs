//! Everything that specs are made of, so that a plan file can keep it and have it checked again.

use super::{Defaults, Loaded, Source, load};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// Files, overrides, the environment variables that the files name, and what the command line says beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    /// The files, in order.
    pub sources: Vec<Source>,
    /// Overrides as `--set` takes them, in order.
    pub set: Vec<String>,
    /// Variables that the files name as `${env:NAME}`, with their values; one that is not set is not here.
    pub environment: BTreeMap<String, String>,
    /// What holds where the files say nothing.
    pub defaults: Defaults,
}

impl Inputs {
    /// Reads specs and keeps what they were made of; `lookup` finds environment variables.
    pub fn read(
        sources: Vec<Source>,
        set: Vec<String>,
        lookup: &dyn Fn(&str) -> Option<String>,
        defaults: Defaults,
    ) -> (Self, Loaded) {
        let environment = RefCell::new(BTreeMap::new());
        let remember = |name: &str| {
            let value = lookup(name)?;
            environment.borrow_mut().insert(name.to_owned(), value.clone());
            Some(value)
        };
        let loaded = load(&sources, &set, &remember, &defaults);
        (Self { sources, set, environment: environment.into_inner(), defaults }, loaded)
    }

    /// The same specs, or what is wrong with them by the rules of this version.
    #[must_use]
    pub fn load(&self) -> Loaded {
        let lookup = |name: &str| self.environment.get(name).cloned();
        load(&self.sources, &self.set, &lookup, &self.defaults)
    }
}
