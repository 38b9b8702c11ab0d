//! What a path names.

use super::places::Place;
use crate::rest::{Code, Failure, Version};

/// A path, read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) version: Version,
    pub(super) project: String,
    pub(super) scope: Scope,
    pub(super) target: Target,
    /// Custom method: `setSize` of `…:setSize`, and of the older `…/setSize`.
    pub(super) verb: Option<String>,
}

/// Zone, region, or all of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Everywhere,
    At(Place),
}

impl Scope {
    pub(super) fn covers(&self, place: &Place) -> bool {
        match self {
            Self::Everywhere => true,
            Self::At(own) => own == place,
        }
    }
}

/// The resource or collection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    ServerConfig,
    Clusters,
    Cluster(String),
    Pools(String),
    Pool(String, String),
    Operations,
    Operation(String),
}

impl Route {
    /// Reads the segments of `/v1/projects/P/locations/L/…` or `/v1/projects/P/zones/Z/…`.
    ///
    /// # Errors
    /// 404 for a path that no method has, 400 for a location that does not exist.
    pub(super) fn parse(segments: &[String]) -> Result<Self, Failure> {
        let unknown = || Failure::new(Code::NotFound, "Method not found.");
        let mut parts: Vec<&str> = segments.iter().map(String::as_str).collect();
        let custom = parts.last_mut().and_then(|last| {
            let (name, verb) = last.split_once(':')?;
            *last = name;
            Some(verb.to_owned())
        });
        let [version, "projects", project, form @ ("locations" | "zones"), location, rest @ ..] =
            parts.as_slice()
        else {
            return Err(unknown());
        };
        let version = Version::parse(version).ok_or_else(unknown)?;
        let (target, older) = target(rest).ok_or_else(unknown)?;
        let scope = match *location {
            "-" => Scope::Everywhere,
            name => Scope::At(
                Place::find(name)
                    .ok_or_else(|| Failure::invalid(format!("Location \"{name}\" does not exist.")))?,
            ),
        };
        if *form == "zones" && matches!(scope, Scope::At(Place::Region(_))) {
            // Seen of `GET /v1/projects/P/zones/us-central1/clusters/C` in 2021, in the notes of a Dataiku installation.
            return Err(Failure::invalid(
                "'zone' field cannot be used to access GKE regional clusters. Use 'name' or 'parent' fields instead.",
            ));
        }
        Ok(Self { version, project: (*project).to_owned(), scope, target, verb: custom.or(older) })
    }

    /// The one zone or region of the path.
    ///
    /// # Errors
    /// 400 for the wildcard, which only lists can have.
    pub(super) fn place(&self) -> Result<&Place, Failure> {
        match &self.scope {
            Scope::At(place) => Ok(place),
            Scope::Everywhere => Err(Failure::invalid("Location \"-\" does not exist.")),
        }
    }
}

/// The target of the part after the location, and the custom method that an older path spells as a segment.
fn target(rest: &[&str]) -> Option<(Target, Option<String>)> {
    let owned = |name: &&str| (*name).to_owned();
    Some(match rest {
        ["serverConfig" | "serverconfig"] => (Target::ServerConfig, None),
        ["clusters"] => (Target::Clusters, None),
        ["clusters", name] => (Target::Cluster(owned(name)), None),
        ["clusters", name, "nodePools"] => (Target::Pools(owned(name)), None),
        ["clusters", name, "nodePools", pool] => (Target::Pool(owned(name), owned(pool)), None),
        ["clusters", name, "nodePools", pool, older] => {
            let verb = if *older == "autoscaling" { "setAutoscaling" } else { older };
            (Target::Pool(owned(name), owned(pool)), Some(verb.to_owned()))
        }
        ["clusters", name, older] => {
            let verb = match *older {
                "logging" => "setLogging",
                "monitoring" => "setMonitoring",
                "addons" => "setAddons",
                "locations" => "setLocations",
                "master" => "updateMaster",
                "legacyAbac" => "setLegacyAbac",
                "resourceLabels" => "setResourceLabels",
                _ => return None,
            };
            (Target::Cluster(owned(name)), Some(verb.to_owned()))
        }
        ["operations"] => (Target::Operations, None),
        ["operations", name] => (Target::Operation(owned(name)), None),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(path: &str) -> Result<Route, Failure> {
        let segments: Vec<String> =
            path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Route::parse(&segments)
    }

    #[test]
    fn both_path_forms() {
        let new = parse("/v1/projects/p/locations/us-east1-d/clusters/c/nodePools/n:setSize").unwrap();
        let old = parse("/v1/projects/p/zones/us-east1-d/clusters/c/nodePools/n/setSize").unwrap();
        assert_eq!(new, old);
        assert_eq!(new.target, Target::Pool("c".to_owned(), "n".to_owned()));
        assert_eq!(new.verb.as_deref(), Some("setSize"));
        let labels = parse("/v1beta1/projects/p/zones/us-east1-d/clusters/c/resourceLabels").unwrap();
        assert_eq!((labels.verb.as_deref(), labels.version), (Some("setResourceLabels"), Version::V1Beta1));
        assert_eq!(parse("/v1/projects/p/locations/-/clusters").unwrap().scope, Scope::Everywhere);
    }

    #[test]
    fn paths_of_no_method() {
        for path in [
            "/",
            "/v2/projects/p/locations/us-east1/clusters",
            "/v1/projects/p/locations/us-east1",
            "/v1/projects/p/clusters",
            "/v1/projects/p/zones/us-east1-d/clusters/c/nope",
        ] {
            assert_eq!(parse(path).unwrap_err().code, Code::NotFound, "{path}");
        }
        let region = parse("/v1/projects/p/zones/us-east1/clusters/c").unwrap_err();
        assert_eq!(region.code, Code::InvalidArgument);
        assert!(region.message.starts_with("'zone' field cannot be used to access GKE regional clusters."));
        let failure = parse("/v1/projects/p/locations/us-east1-q/clusters").unwrap_err();
        assert_eq!(failure.message, "Location \"us-east1-q\" does not exist.");
    }
}
