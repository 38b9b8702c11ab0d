//! What a path means.

use super::kind::Kind;
use crate::api::percent_decode;

/// An object, a collection, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Its kind.
    pub(super) kind: Kind,
    /// Its namespace; `None` for kinds without and for lists over all.
    pub(super) namespace: Option<String>,
    /// Its name; `None` for collections.
    pub(super) name: Option<String>,
    /// The part of it.
    pub(super) subresource: Option<String>,
    /// What follows the subresource, still encoded, with its leading `/`.
    pub(super) rest: String,
}

/// What a path means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    /// Something of a kind.
    Object(Target),
    /// `/api/v1` and `/apis/GROUP/v1`: the kinds of a group.
    Group(String),
    /// Reviews of what the caller may do: the kind of review.
    Review(String),
    /// Anything else: the path itself.
    Other,
}

impl Route {
    /// Reads a path as sent.
    pub(super) fn of(path: &str) -> Self {
        let raw: Vec<&str> = path.split('/').skip(1).collect();
        let (group, parts) = match raw.as_slice() {
            ["api", "v1", parts @ ..] => ("", parts),
            ["apis", group, "v1", parts @ ..] => (*group, parts),
            _ => return Self::Other,
        };
        match parts {
            [] | [""] => Self::Group(group.to_owned()),
            [review] if matches!(group, "authorization.k8s.io" | "authentication.k8s.io") => {
                Self::Review((*review).to_owned())
            }
            ["namespaces", namespace, plural, tail @ ..] if !["status", "finalize"].contains(plural) => {
                target(group, plural, Some(namespace), tail)
            }
            [plural, tail @ ..] => target(group, plural, None, tail),
        }
    }
}

fn target(group: &str, plural: &str, namespace: Option<&str>, tail: &[&str]) -> Route {
    let Some(kind) = Kind::find(group, plural).filter(|kind| kind.info().namespaced || namespace.is_none())
    else {
        return Route::Other;
    };
    // Objects of a namespace are never named without it.
    if kind.info().namespaced && namespace.is_none() && !tail.is_empty() {
        return Route::Other;
    }
    let (name, subresource, rest) = match tail {
        [] => (None, None, String::new()),
        [name] => (Some(*name), None, String::new()),
        [name, subresource] => (Some(*name), Some(*subresource), String::new()),
        [name, subresource, rest @ ..] => (Some(*name), Some(*subresource), format!("/{}", rest.join("/"))),
    };
    Route::Object(Target {
        kind,
        namespace: namespace.map(percent_decode),
        name: name.map(percent_decode),
        subresource: subresource.map(str::to_owned),
        rest,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(path: &str) -> (Kind, Option<String>, Option<String>, Option<String>, String) {
        match Route::of(path) {
            Route::Object(t) => (t.kind, t.namespace, t.name, t.subresource, t.rest),
            Route::Group(_) | Route::Review(_) | Route::Other => panic!("{path}"),
        }
    }

    #[test]
    fn paths_name_objects_collections_and_parts() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(parts("/api/v1/pods"), (Kind::Pod, None, None, None, String::new()));
        assert_eq!(parts("/api/v1/namespaces/a"), (Kind::Namespace, None, text("a"), None, String::new()));
        let status = (Kind::Namespace, None, text("a"), text("status"), String::new());
        assert_eq!(parts("/api/v1/namespaces/a/status"), status);
        let scale = (Kind::Deployment, text("a"), text("d"), text("scale"), String::new());
        assert_eq!(parts("/apis/apps/v1/namespaces/a/deployments/d/scale"), scale);
        let proxy = (Kind::Service, text("a"), text("http:s:api"), text("proxy"), "/x%2Fy/".to_owned());
        assert_eq!(parts("/api/v1/namespaces/a/services/http:s:api/proxy/x%2Fy/"), proxy);
        assert_eq!(Route::of("/apis/apps/v1"), Route::Group("apps".to_owned()));
        assert_eq!(Route::of("/apis/apps/v1/pods"), Route::Other);
        assert_eq!(Route::of("/apis/apps/v1/deployments/x"), Route::Other);
    }
}
