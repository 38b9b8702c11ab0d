//! Kubernetes versions this GKE offers: one pinned table, in the order and form of `getServerConfig` in late 2026.

use crate::rest::Failure;
use serde_json::{Value, json};

/// Versions of control planes and nodes, newest first.
const VALID: &[&str] = &[
    "1.35.1-gke.1396002",
    "1.34.6-gke.1154000",
    "1.34.4-gke.1047000",
    "1.33.8-gke.1026000",
    "1.33.5-gke.1162000",
];

/// What a cluster gets that names no version, which is REGULAR's default.
pub(super) const DEFAULT: &str = "1.34.4-gke.1047000";

/// Channels with their default version.
const CHANNELS: &[(&str, &str)] = &[
    ("RAPID", "1.35.1-gke.1396002"),
    ("REGULAR", DEFAULT),
    ("STABLE", "1.33.8-gke.1026000"),
    ("EXTENDED", DEFAULT),
];

/// The version a request means: a full one, a prefix like `1.34`, `latest`, or `-` or nothing for the channel's default.
///
/// # Errors
/// 400 when no offered version fits.
pub(super) fn resolve(wanted: &str, channel: &str, what: &str) -> Result<String, Failure> {
    let default = CHANNELS.iter().find(|(name, _)| *name == channel).map_or(DEFAULT, |(_, version)| version);
    let prefix = |version: &str| {
        version.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    let found = match wanted {
        "" | "-" => Some(default),
        "latest" => VALID.first().copied(),
        // The default of the channel, if it fits, before newer ones.
        _ => std::iter::once(default).chain(VALID.iter().copied()).find(|version| prefix(version)),
    };
    found
        .map(str::to_owned)
        .ok_or_else(|| Failure::invalid(format!("{what} version \"{wanted}\" is unsupported.")))
}

/// What GKE upgrades a version to by itself: the newest patch of its minor, or of the next minor where it may and there
/// is one. Nothing when none is newer.
pub(super) fn newer(version: &str, minors: bool) -> Option<String> {
    let minor = |version: &str| numbers(version).get(1).copied().unwrap_or(0);
    let next = minor(version) + 1;
    let newest = |wanted: u64| VALID.iter().copied().find(|own| minor(own) == wanted);
    let found = newest(next).filter(|_| minors).or_else(|| newest(minor(version)));
    found.filter(|found| numbers(found) > numbers(version)).map(str::to_owned)
}

/// Numbers of a version, for comparing: `1.34.4-gke.1047000` is 1, 34, 4, 1047000.
pub(super) fn numbers(version: &str) -> Vec<u64> {
    version.split(['.', '-']).filter_map(|part| part.parse().ok()).collect()
}

/// Body of `getServerConfig`.
pub(super) fn server_config() -> Value {
    let channels: Vec<Value> = CHANNELS
        .iter()
        .map(|(name, default)| {
            json!({ "channel": name, "defaultVersion": default, "validVersions": VALID, "upgradeTargetVersion": default })
        })
        .collect();
    json!({
        "defaultClusterVersion": DEFAULT,
        "validNodeVersions": VALID,
        "defaultImageType": "COS_CONTAINERD",
        "validImageTypes": ["COS_CONTAINERD", "UBUNTU_CONTAINERD", "WINDOWS_LTSC_CONTAINERD"],
        "validMasterVersions": VALID,
        "channels": channels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_resolve() {
        assert_eq!(resolve("", "REGULAR", "Master").unwrap(), DEFAULT);
        assert_eq!(resolve("-", "STABLE", "Master").unwrap(), "1.33.8-gke.1026000");
        assert_eq!(resolve("1.34", "REGULAR", "Master").unwrap(), DEFAULT);
        assert_eq!(resolve("1.33", "REGULAR", "Master").unwrap(), "1.33.8-gke.1026000");
        assert_eq!(resolve("latest", "REGULAR", "Master").unwrap(), "1.35.1-gke.1396002");
        assert_eq!(resolve("1.33.5-gke.1162000", "", "Master").unwrap(), "1.33.5-gke.1162000");
        let failure = resolve("1.3", "", "Master").unwrap_err();
        assert_eq!(failure.message, "Master version \"1.3\" is unsupported.");
    }

    #[test]
    fn upgrades_take_the_newest_patch_or_the_next_minor() {
        assert_eq!(newer("1.33.5-gke.1162000", false).as_deref(), Some("1.33.8-gke.1026000"));
        assert_eq!(newer("1.33.8-gke.1026000", false), None);
        assert_eq!(newer("1.33.5-gke.1162000", true).as_deref(), Some("1.34.6-gke.1154000"));
        assert_eq!(newer("1.35.1-gke.1396002", true), None);
    }

    #[test]
    fn the_table_is_consistent() {
        assert!(VALID.windows(2).all(|pair| numbers(pair[0]) > numbers(pair[1])));
        assert!(CHANNELS.iter().all(|(_, default)| VALID.contains(default)));
    }
}
