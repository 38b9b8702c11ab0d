//! Paths and links of Compute Engine resources.

use sha2::{Digest, Sha256};

/// Where self links point, whichever host was called.
const HOST: &str = "https://www.googleapis.com/compute/v1/";

/// The full URL of a relative path.
pub(super) fn link(path: &str) -> String {
    format!("{HOST}{path}")
}

/// The relative path `projects/…` of a full or partial URL.
pub(super) fn relative(link: &str) -> Option<&str> {
    if link.starts_with("projects/") {
        return Some(link);
    }
    link.find("/projects/").and_then(|at| link.get(at + 1..))
}

/// The last segment of a URL or path.
pub(super) fn last(link: &str) -> &str {
    link.rsplit('/').next().unwrap_or(link)
}

/// A numeric id that belongs to a path for good: for what is there in every project.
pub(super) fn stable_id(path: &str) -> String {
    let digest = Sha256::digest(path);
    let number = digest.iter().take(8).fold(0u64, |value, byte| (value << 8) | u64::from(*byte));
    (1_000_000_000_000_000_000 + number % 8_000_000_000_000_000_000).to_string()
}

/// Where in a project a collection stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Scope {
    /// Directly: the project itself, `zones`, `regions`.
    Project,
    /// All zones and regions together.
    Aggregated,
    Global,
    Region(String),
    Zone(String),
}

/// A request's path, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) project: String,
    pub(super) scope: Scope,
    /// `instances`; empty for the project itself.
    pub(super) collection: String,
    pub(super) name: Option<String>,
    /// `setLabels`; for `images/family/F` it is F.
    pub(super) verb: Option<String>,
}

impl Route {
    /// Takes the decoded segments of a path apart, `compute/v1/projects/…`.
    pub(super) fn parse(segments: &[String]) -> Option<Self> {
        let parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let ["compute", "v1" | "beta", "projects", project, rest @ ..] = parts.as_slice() else {
            return None;
        };
        let (scope, rest) = match rest {
            ["aggregated", rest @ ..] => (Scope::Aggregated, rest),
            ["global", rest @ ..] => (Scope::Global, rest),
            ["zones", zone, rest @ ..] if !rest.is_empty() => (Scope::Zone((*zone).to_owned()), rest),
            ["regions", region, rest @ ..] if !rest.is_empty() => (Scope::Region((*region).to_owned()), rest),
            rest => (Scope::Project, rest),
        };
        if rest.len() > 3 {
            return None;
        }
        let part = |at: usize| rest.get(at).map(|part| (*part).to_owned());
        Some(Self {
            project: (*project).to_owned(),
            scope,
            collection: part(0).unwrap_or_default(),
            name: part(1),
            verb: part(2),
        })
    }

    /// `projects/P/zones/Z`, without what stands in it.
    pub(super) fn parent(&self) -> String {
        let project = &self.project;
        match &self.scope {
            Scope::Project => format!("projects/{project}"),
            Scope::Aggregated => format!("projects/{project}/aggregated"),
            Scope::Global => format!("projects/{project}/global"),
            Scope::Region(region) => format!("projects/{project}/regions/{region}"),
            Scope::Zone(zone) => format!("projects/{project}/zones/{zone}"),
        }
    }

    /// The relative path of a resource in the same collection.
    pub(super) fn sibling(&self, name: &str) -> String {
        format!("{}/{}/{name}", self.parent(), self.collection)
    }

    /// The relative path of the resource the request names; of the collection's parent when it names none.
    pub(super) fn path(&self) -> String {
        self.name.as_deref().map_or_else(|| self.parent(), |name| self.sibling(name))
    }

    /// The zone's or region's own region.
    pub(super) fn region(&self) -> &str {
        match &self.scope {
            Scope::Zone(zone) => super::catalog::region_of(zone),
            Scope::Region(region) => region,
            Scope::Project | Scope::Aggregated | Scope::Global => "",
        }
    }

    /// The zone; empty outside of one.
    pub(super) fn zone(&self) -> &str {
        match &self.scope {
            Scope::Zone(zone) => zone,
            Scope::Region(_) | Scope::Project | Scope::Aggregated | Scope::Global => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Option<Route> {
        let segments: Vec<String> = path.split('/').map(str::to_owned).collect();
        Route::parse(&segments)
    }

    #[test]
    fn paths_come_apart() {
        let route =
            parse("compute/v1/projects/example.com:p/zones/us-east1-d/instances/vm/setLabels").unwrap();
        assert_eq!(route.path(), "projects/example.com:p/zones/us-east1-d/instances/vm");
        assert_eq!((route.region(), route.verb.as_deref()), ("us-east1", Some("setLabels")));
        let zone = parse("compute/beta/projects/p/zones/us-east1-d").unwrap();
        assert_eq!((zone.scope, zone.collection.as_str()), (Scope::Project, "zones"));
        assert!(parse("compute/v2/projects/p").is_none());
        assert!(parse("compute/v1/projects/p/global/a/b/c/d").is_none());
    }

    #[test]
    fn links_become_relative() {
        assert_eq!(relative("https://compute.googleapis.com/compute/v1/projects/p/x"), Some("projects/p/x"));
        assert_eq!(relative("projects/p/x"), Some("projects/p/x"));
        assert_eq!(relative("e2-medium"), None);
    }
}
