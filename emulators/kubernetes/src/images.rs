//! Images that a node does not get, in the words of the kubelet and of containerd 2.
//!
//! Where the words come from:
//! - The waiting reasons and messages: `pkg/kubelet/images/image_manager.go` of Kubernetes; since 1.32 a back-off carries the
//!   error that it waits after (`prevPullErrMsg`).
//! - `rpc error: code = ... desc = ` stands before an error unless its code is Unknown: `pullImageV1` in
//!   `k8s.io/cri-client/pkg/remote_image.go` strips that one.
//! - Schema 1: kubernetes/k8s.io issue 8650, from a node of GKE 1.33 with containerd 2.0.
//! - 403 of a registry: `unexpected status from HEAD request` of containerd 2's resolver; the older words for the same are in
//!   googlecodelabs/monolith-to-microservices issue 59, from a node of GKE.
//! - Docker Hub answers the same whether a repository is private or not there: `core/remotes/docker` of containerd.

use serde::{Deserialize, Serialize};

/// Images that cannot be pulled. Nothing is refused by default but what no registry can have: names in `.invalid`, and
/// those with `does-not-exist` in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageFaults {
    /// Images in Docker's old format are refused by nodes from 1.33 on, as containerd 2 does.
    pub schema1_refused: bool,
    /// Repositories, or what their names begin with, that the nodes may not read.
    pub denied: Vec<String>,
    /// Repositories, what their names begin with, or images with their tag, that are not there.
    pub missing: Vec<String>,
}

/// The first minor version of Kubernetes whose nodes on GKE run containerd 2 (GKE's documentation, "Migrate nodes to
/// containerd 2").
const CONTAINERD_2: u32 = 33;

/// Repositories whose images are in Docker's schema 1: last pushed before registries took anything else.
const SCHEMA_1: [&str; 2] = ["docker.io/mbabineau/zookeeper-exhibitor", "registry.k8s.io/busybox"];

/// An image's name in full, as containerd has it.
#[derive(Debug, PartialEq, Eq)]
struct Reference {
    host: String,
    path: String,
    /// `:TAG` or `@DIGEST`.
    version: String,
}

impl Reference {
    fn parse(image: &str) -> Self {
        let (name, digest) =
            image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            Some(_) | None => (name, "latest"),
        };
        let version = digest.map_or_else(|| format!(":{tag}"), |digest| format!("@{digest}"));
        let (host, path) = match name.split_once('/') {
            Some((host, path)) if is_host(host) => (host, path.to_owned()),
            Some(_) => ("docker.io", name.to_owned()),
            None => ("docker.io", format!("library/{name}")),
        };
        Self { host: host.to_owned(), path, version }
    }

    fn repository(&self) -> String {
        format!("{}/{}", self.host, self.path)
    }

    fn full(&self) -> String {
        format!("{}{}", self.repository(), self.version)
    }

    /// Whether an entry of a list names this image, its repository, or what that begins with.
    fn is_in(&self, entry: &str) -> bool {
        let entry = entry.trim_end_matches('/');
        let head = entry.split('/').next().unwrap_or_default();
        // Alone, what follows a colon is a tag rather than a port.
        let host = if entry.contains('/') { head } else { head.split(':').next().unwrap_or_default() };
        let spelled: Vec<String> = match (is_host(host), entry.contains('/')) {
            (true, _) => vec![entry.to_owned()],
            (false, true) => vec![format!("docker.io/{entry}")],
            (false, false) => vec![format!("docker.io/{entry}"), format!("docker.io/library/{entry}")],
        };
        let repository = self.repository();
        spelled.iter().any(|entry| {
            *entry == repository || *entry == self.full() || repository.starts_with(&format!("{entry}/"))
        })
    }

    /// What containerd says of a reference that it cannot resolve.
    fn unresolved(&self, why: &str) -> String {
        let full = self.full();
        format!("failed to pull and unpack image \"{full}\": failed to resolve reference \"{full}\": {why}")
    }
}

fn is_host(part: &str) -> bool {
    part.contains(['.', ':']) || part == "localhost"
}

/// Whether no registry has the image.
fn is_nowhere(image: &str) -> bool {
    let registry = image.split('/').next().unwrap_or_default().split(':').next().unwrap_or_default();
    image.contains("does-not-exist") || (image.contains('/') && registry.ends_with(".invalid"))
}

impl ImageFaults {
    /// Why a kubelet of this minor version does not get an image, if so: what stands after `ErrImagePull`.
    pub(super) fn refusal(&self, image: &str, minor: u32) -> Option<String> {
        let reference = Reference::parse(image);
        let listed = |list: &[String]| list.iter().any(|entry| reference.is_in(entry));
        let hub = reference.host == "docker.io";
        // Docker Hub tells of a tag that is not there, and not of a repository.
        let tagged = |entry: &&String| entry.rsplit('/').next().is_some_and(|last| last.contains([':', '@']));
        let told = !hub || self.missing.iter().filter(tagged).any(|entry| reference.is_in(entry));
        if is_nowhere(image) || (listed(&self.missing) && told) {
            let why = reference.unresolved(&format!("{}: not found", reference.full()));
            return Some(format!("rpc error: code = NotFound desc = {why}"));
        }
        if hub && (listed(&self.missing) || listed(&self.denied)) {
            return Some(reference.unresolved(
                "pull access denied, repository does not exist or may require authorization: server message: \
                 insufficient_scope: authorization failed",
            ));
        }
        if listed(&self.denied) {
            let Reference { host, path, version } = &reference;
            let version = version.trim_start_matches([':', '@']);
            return Some(reference.unresolved(&format!(
                "unexpected status from HEAD request to https://{host}/v2/{path}/manifests/{version}: 403 Forbidden"
            )));
        }
        let old = SCHEMA_1.contains(&reference.repository().as_str());
        (self.schema1_refused && old && minor >= CONTAINERD_2).then(|| {
            let full = reference.full();
            format!(
                "failed to pull and unpack image \"{full}\": failed to get converter for \"{full}\": Pulling Schema 1 \
                 images have been deprecated and disabled by default since containerd v2.0. As a workaround you may set \
                 an environment variable `CONTAINERD_ENABLE_DEPRECATED_PULL_SCHEMA_1_IMAGE=1`, but this will be \
                 completely removed in containerd v2.1."
            )
        })
    }
}

/// The minor version in `v1.33.5-gke.100`.
pub(super) fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(denied: &[&str], missing: &[&str]) -> ImageFaults {
        let owned = |list: &[&str]| list.iter().map(|entry| (*entry).to_owned()).collect();
        ImageFaults { schema1_refused: true, denied: owned(denied), missing: owned(missing) }
    }

    #[test]
    fn names_are_completed_as_containerd_does() {
        let full = |image| Reference::parse(image).full();
        assert_eq!(full("nginx"), "docker.io/library/nginx:latest");
        assert_eq!(full("mbabineau/zookeeper-exhibitor:1"), "docker.io/mbabineau/zookeeper-exhibitor:1");
        assert_eq!(full("localhost:5000/a"), "localhost:5000/a:latest");
        assert_eq!(full("eu-docker.pkg.dev/p/r/i@sha256:0a"), "eu-docker.pkg.dev/p/r/i@sha256:0a");
    }

    #[test]
    fn images_without_a_registry_are_missing() {
        let missing = ["a/does-not-exist", "kt.invalid/bb:1", "nginx:1", "mbabineau/zookeeper-exhibitor"];
        let refused = missing.map(|image| ImageFaults::default().refusal(image, 36).is_some());
        assert_eq!(refused, [true, true, false, false]);
    }

    #[test]
    fn entries_cover_repositories_and_what_they_begin_with() {
        let covers = |entry, image| faults(&[entry], &[]).refusal(image, 32).is_some();
        assert!(covers("eu-docker.pkg.dev/p", "eu-docker.pkg.dev/p/r/i:1"));
        assert!(!covers("eu-docker.pkg.dev/p", "eu-docker.pkg.dev/project/r/i:1"));
        assert!(covers("mbabineau", "mbabineau/zookeeper-exhibitor"));
        assert!(covers("nginx", "nginx:1") && covers("docker.io/library/nginx", "nginx"));
        let tagged = faults(&[], &["eu-docker.pkg.dev/p/r/i:2"]);
        assert!(tagged.refusal("eu-docker.pkg.dev/p/r/i:2", 36).is_some());
        assert_eq!(tagged.refusal("eu-docker.pkg.dev/p/r/i:1", 36), None);
        let why = |entry| faults(&[], &[entry]).refusal("nginx:9", 36).unwrap_or_default();
        assert!(why("nginx:9").ends_with("docker.io/library/nginx:9: not found"));
        assert!(why("nginx").contains("pull access denied"));
        assert_eq!(why("nginx:1.9"), "");
    }

    #[test]
    fn the_old_format_is_refused_from_1_33_on() {
        let exhibitor = "mbabineau/zookeeper-exhibitor:latest";
        let why = faults(&[], &[]).refusal(exhibitor, minor("v1.33.5-gke.100")).unwrap();
        assert!(why.starts_with(
            "failed to pull and unpack image \"docker.io/mbabineau/zookeeper-exhibitor:latest\": "
        ));
        assert!(why.contains("Pulling Schema 1 images have been deprecated and disabled by default"));
        assert_eq!(faults(&[], &[]).refusal(exhibitor, minor("v1.32.9-gke.1")), None);
        assert_eq!(faults(&[], &[]).refusal("eu-docker.pkg.dev/p/r/exhibitor:1", 36), None);
        assert_eq!(ImageFaults::default().refusal(exhibitor, 36), None, "off by default");
    }
}
