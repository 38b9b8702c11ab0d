//! The settings of Exhibitor and ZooKeeper that the file knows, by the names `zkprov config` takes: where each stands in the file
//! and in Exhibitor's shared configuration, and what a change of it costs.

use crate::exhibitor;
use crate::spec::path;
use serde_json::Value;

/// One setting by name, the place in the file, and Exhibitor's key.
const SETTINGS: [(&str, &str, &str); 9] = [
    ("check", "spec.exhibitor.settings.check", "checkMs"),
    ("settling", "spec.exhibitor.settings.settling", "autoManageInstancesSettlingPeriodMs"),
    ("cleanupPeriod", "spec.exhibitor.settings.cleanupPeriod", "cleanupPeriodMs"),
    ("cleanupMaxFiles", "spec.exhibitor.settings.cleanupMaxFiles", "cleanupMaxFiles"),
    ("backup.period", "spec.exhibitor.settings.backup.period", "backupPeriodMs"),
    ("backup.maxStore", "spec.exhibitor.settings.backup.maxStore", "backupMaxStoreMs"),
    ("heap", "spec.exhibitor.heap", exhibitor::JAVA_KEY),
    (JVM_OPTIONS, "spec.exhibitor.jvmOptions", exhibitor::JAVA_KEY),
    ("clientPort", "spec.exhibitor.clientPort", "clientPort"),
];
/// Names of lines of `zoo.cfg`.
const ZOO_CFG: &str = "zooCfg.";

const JVM_OPTIONS: &str = "jvmOptions";

/// What a change of a setting does to the members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It is in force at once, and restarts nobody.
    Live,
    /// Members restart one by one.
    Rolling,
    /// All members restart together: those with the old value cannot talk to those with the new one.
    AllAtOnce,
}

/// A setting with its values.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// `check`, `zooCfg.tickTime`, ...
    pub name: String,
    /// Exhibitor's key: `checkMs`, `zooCfgExtra.tickTime`, ...
    pub key: String,
    /// In force, as Exhibitor tells it; `None` when it is not set.
    pub live: Option<Value>,
    /// What the file asks for; `None` when it leaves it alone.
    pub declared: Option<Value>,
    /// What a change costs.
    pub effect: Effect,
}

/// The path in the file, as `--set` has it, of the setting of this name. Every line of `zoo.cfg` is a setting: `zooCfg.NAME`.
///
/// # Errors
/// The known names, when this is none.
pub fn path(name: &str) -> Result<String, Vec<&'static str>> {
    if let Some(line) = name.strip_prefix(ZOO_CFG).filter(|line| !line.is_empty()) {
        return Ok(path::join("spec.exhibitor.settings.zooCfg", line));
    }
    let known = SETTINGS.iter().find(|(known, _, _)| *known == name);
    let names = || SETTINGS.iter().map(|(name, _, _)| *name).chain(["zooCfg.NAME"]).collect();
    known.map(|(_, path, _)| (*path).to_owned()).ok_or_else(names)
}

/// All settings in the order of their names: those of the file, and the lines of `zoo.cfg` that are live without it.
///
/// `live` are the shared settings as [`exhibitor::settings`] gives them, `declared` those of the rendered ensemble.
#[must_use]
pub fn settings(live: &Value, declared: &Value) -> Vec<Setting> {
    let one = |name: &str, key: &str, at: &[&str]| {
        let value = |of: &Value| {
            let value = at.iter().try_fold(of, |of, key| of.get(key)).cloned();
            value.map(|value| if key == exhibitor::JAVA_KEY { of_java(name, value) } else { value })
        };
        let restarts = at.first().is_some_and(|key| exhibitor::restarts(key));
        let effect = match (restarts, exhibitor::restarts_together(at)) {
            (_, true) => Effect::AllAtOnce,
            (true, false) => Effect::Rolling,
            (false, false) => Effect::Live,
        };
        Setting {
            name: name.to_owned(),
            key: key.to_owned(),
            live: value(live),
            declared: value(declared),
            effect,
        }
    };
    let mut settings: Vec<Setting> = SETTINGS.iter().map(|(name, _, key)| one(name, key, &[key])).collect();
    let lines = [live, declared].into_iter().filter_map(|of| of.get("zooCfgExtra")?.as_object());
    for line in lines.flat_map(|lines| lines.keys()) {
        let name = format!("{ZOO_CFG}{line}");
        if settings.iter().all(|setting| setting.name != name) {
            settings.push(one(&name, &format!("zooCfgExtra.{line}"), &["zooCfgExtra", line]));
        }
    }
    settings.sort_by(|one, other| one.name.cmp(&other.name));
    settings
}

/// What of the options of ZooKeeper's JVM a setting is about: the heap's flags, or all others. Lines that are not ours are shown
/// as they are.
fn of_java(name: &str, value: Value) -> Value {
    let options = value.as_str().and_then(exhibitor::jvm_flags);
    let Some(options) = options else { return value };
    let heap = |option: &&str| option.starts_with("-Xms") || option.starts_with("-Xmx");
    let (heap, others): (Vec<&str>, Vec<&str>) = options.partition(heap);
    Value::from(if name == JVM_OPTIONS { others } else { heap }.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn live_and_declared_stand_side_by_side() {
        let live = json!({"checkMs": "30000", "javaEnvironment": "a", "zooCfgExtra": {"tickTime": "2000", "x": "1"}});
        let declared = json!({"checkMs": "20000", "zooCfgExtra": {"tickTime": "3000", "y": "2"}});
        let all = settings(&live, &declared);
        let of = |name: &str| all.iter().find(|one| one.name == name).cloned().unwrap();
        let check = of("check");
        assert_eq!((check.live, check.declared), (Some(json!("30000")), Some(json!("20000"))));
        assert_eq!((check.key.as_str(), check.effect), ("checkMs", Effect::Live));
        let tick = of("zooCfg.tickTime");
        assert_eq!((tick.key.as_str(), tick.effect), ("zooCfgExtra.tickTime", Effect::Rolling));
        assert_eq!((of("zooCfg.x").declared, of("zooCfg.y").live), (None, None));
        assert_eq!((of("heap").effect, of("heap").declared), (Effect::Rolling, None));
        assert!(all.is_sorted_by(|one, other| one.name < other.name));
    }

    #[test]
    fn heap_and_further_options_come_apart() {
        let flags = |flags: &str| json!({"javaEnvironment": format!("export JVMFLAGS=\"{flags}\"")});
        let all = settings(&flags("-Xms64m -Xmx64m"), &flags("-Xms64m -Xmx64m -XX:+UseSerialGC -Da=b"));
        let of = |name: &str| all.iter().find(|one| one.name == name).cloned().unwrap();
        assert_eq!(
            (of("heap").live, of("heap").declared),
            (Some(json!("-Xms64m -Xmx64m")), Some(json!("-Xms64m -Xmx64m")))
        );
        let options = of("jvmOptions");
        assert_eq!(
            (options.live, options.declared),
            (Some(json!("")), Some(json!("-XX:+UseSerialGC -Da=b")))
        );
        assert_eq!(options.effect, Effect::Rolling);
        // Somebody else's lines.
        let theirs = json!({"javaEnvironment": "export JVMFLAGS=-Xmx1g\nexport X=1"});
        let all = settings(&theirs, &json!({}));
        assert!(
            all.iter()
                .any(|one| one.name == "jvmOptions" && one.live.as_ref() == theirs.get("javaEnvironment"))
        );
    }

    #[test]
    fn what_members_have_to_agree_on_changes_at_once() {
        let lines = json!({"zooCfgExtra": {"electionAlg": "3", "tickTime": "2000", "quorum.auth.enableSasl": "true"}});
        let all = settings(&lines, &json!({}));
        let effect = |name: &str| all.iter().find(|one| one.name == name).unwrap().effect;
        assert_eq!(effect("zooCfg.electionAlg"), Effect::AllAtOnce);
        assert_eq!(effect("zooCfg.quorum.auth.enableSasl"), Effect::AllAtOnce);
        assert_eq!(effect("zooCfg.tickTime"), Effect::Rolling);
    }

    #[test]
    fn names_lead_into_the_file() {
        assert_eq!(path("heap").unwrap(), "spec.exhibitor.heap");
        assert_eq!(path("zooCfg.tickTime").unwrap(), "spec.exhibitor.settings.zooCfg.tickTime");
        let purge = r"spec.exhibitor.settings.zooCfg.autopurge\.purgeInterval";
        assert_eq!(path("zooCfg.autopurge.purgeInterval").unwrap(), purge);
        assert!(path("checkMs").unwrap_err().contains(&"check"));
        assert!(path("zooCfg.").is_err());
    }
}
