//! What a pod's spec means to the kubelet: mounts, images, environment, shares.

use super::super::claims::claim_of;
use super::super::kind::Kind;
use super::super::store::Store;
use super::super::tree::{self, int, is_true, items, name, namespace, text};
use crate::containers::ContainerStart;
use crate::views::Export;
use serde_json::Value;
use std::collections::BTreeMap;

/// Where Exhibitor keeps what it shares.
const CONFIG_DIR: &str = "/opt/zookeeper/local_configs";
/// Where ZooKeeper keeps its snapshots; its logs are on the same volume.
const DATA_DIR: &str = "/opt/zookeeper/snapshots";

/// Why the volumes of a pod can't be mounted, if so: the event's message.
pub(super) fn mount_failure(store: &Store, pod: &Value, exports: &[Export]) -> Option<String> {
    items(pod, "/spec/volumes").iter().find_map(|volume| {
        let name = text(volume, "/name").unwrap_or_default();
        let failed = |why: &str| Some(format!("MountVolume.SetUp failed for volume \"{name}\" : {why}"));
        for (source, kind, key) in [("configMap", Kind::ConfigMap, "name"), ("secret", Kind::Secret, "secretName")] {
            let wanted = text(volume, &format!("/{source}/{key}"));
            let optional = is_true(volume, &format!("/{source}/optional"));
            if let Some(wanted) = wanted.filter(|wanted| !optional && store.get(kind, namespace(pod), wanted).is_none())
            {
                return failed(&format!("{} \"{wanted}\" not found", kind.info().singular));
            }
        }
        let (server, path) = (text(volume, "/nfs/server")?, text(volume, "/nfs/path")?);
        let why = export_failure(server, path, exports)?;
        failed(&format!(
            "mount failed: exit status 32\nMounting command: mount\nMounting arguments: -t nfs {server}:{path} \
             /var/lib/kubelet/pods/{}/volumes/kubernetes.io~nfs/{name}\nOutput: mount.nfs: {why}",
            tree::uid(pod)
        ))
    })
}

/// What `mount.nfs` says. Servers that this world knows nothing of are taken to serve.
fn export_failure(server: &str, path: &str, exports: &[Export]) -> Option<&'static str> {
    let known: Vec<&Export> =
        exports.iter().filter(|export| export.names.iter().any(|name| name == server)).collect();
    let below = |root: &str| {
        path == root || root == "/" || path.strip_prefix(root).is_some_and(|rest| rest.starts_with('/'))
    };
    if known.is_empty() || known.iter().any(|export| export.up && below(&export.path)) {
        None
    } else if known.iter().any(|export| export.up) {
        Some("mounting failed, reason given by server: No such file or directory")
    } else {
        Some("Connection timed out")
    }
}

/// The environment of a container.
///
/// # Errors
/// What the container's `CreateContainerConfigError` says.
pub(super) fn environment(
    store: &Store,
    pod: &Value,
    container: &Value,
) -> Result<BTreeMap<String, String>, String> {
    let mut env = BTreeMap::new();
    for source in items(container, "/envFrom") {
        for (key, kind) in [("configMapRef", Kind::ConfigMap), ("secretRef", Kind::Secret)] {
            let Some(wanted) = text(source, &format!("/{key}/name")) else { continue };
            match store.get(kind, namespace(pod), wanted) {
                Some(object) => env.extend(
                    tree::entries(object, "/data").map(|(key, value)| (key.to_owned(), value.to_owned())),
                ),
                None if is_true(source, &format!("/{key}/optional")) => {}
                None => return Err(format!("{} \"{wanted}\" not found", kind.info().singular)),
            }
        }
    }
    for variable in items(container, "/env") {
        let Some(name) = text(variable, "/name") else { continue };
        if let Some(value) = value_of(store, pod, variable)? {
            let value = expanded(&value, &env);
            env.insert(name.to_owned(), value);
        }
    }
    Ok(env)
}

fn value_of(store: &Store, pod: &Value, variable: &Value) -> Result<Option<String>, String> {
    for (key, kind) in [("configMapKeyRef", Kind::ConfigMap), ("secretKeyRef", Kind::Secret)] {
        let at = |field: &str| text(variable, &format!("/valueFrom/{key}/{field}"));
        let (Some(wanted), Some(entry)) = (at("name"), at("key")) else { continue };
        let optional = is_true(variable, &format!("/valueFrom/{key}/optional"));
        let object = store.get(kind, namespace(pod), wanted);
        let value = object.and_then(|object| object.pointer(&format!("/data/{}", tree::escape(entry))));
        return match (object, value.and_then(Value::as_str)) {
            (_, Some(value)) => Ok(Some(value.to_owned())),
            (_, None) if optional => Ok(None),
            (None, None) => Err(format!("{} \"{wanted}\" not found", kind.info().singular)),
            (Some(_), None) => {
                let word = kind.info().kind;
                Err(format!("couldn't find key {entry} in {word} {}/{wanted}", namespace(pod)))
            }
        };
    }
    if let Some(path) = text(variable, "/valueFrom/fieldRef/fieldPath") {
        let pointer = format!("/{}", path.replace(['.', '['], "/").replace(['\'', ']'], ""));
        return Ok(Some(text(pod, &pointer).unwrap_or_default().to_owned()));
    }
    Ok(Some(text(variable, "/value").unwrap_or_default().to_owned()))
}

/// Puts the variables that come before it into a value: `$(NAME)`; one that is not known stays as it is written.
fn expanded(value: &str, known: &BTreeMap<String, String>) -> String {
    known.iter().fold(value.to_owned(), |text, (name, value)| text.replace(&format!("$({name})"), value))
}

/// The container of a pod that runs Exhibitor.
pub(super) fn exhibitor(pod: &Value) -> Option<&Value> {
    let containers = items(pod, "/spec/containers");
    let by_mount = containers.iter().find(|container| mount(container).is_some());
    by_mount.or_else(|| {
        containers
            .iter()
            .find(|container| text(container, "/image").is_some_and(|image| image.contains("exhibitor")))
    })
}

fn mount(container: &Value) -> Option<&Value> {
    items(container, "/volumeMounts").iter().find(|mount| text(mount, "/mountPath") == Some(CONFIG_DIR))
}

/// Whether an image is the one of `images/exhibitor`, by the name that its description gives it in any registry.
fn is_ours(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split([':', '@']).next() == Some("exhibitor")
}

/// The volume of a pod that a container mounts at this path.
fn volume_at<'p>(pod: &'p Value, container: &Value, path: &str) -> Option<&'p Value> {
    let mounts = items(container, "/volumeMounts");
    let mount = mounts.iter().find(|mount| text(mount, "/mountPath") == Some(path))?;
    items(pod, "/spec/volumes").iter().find(|volume| text(volume, "/name") == text(mount, "/name"))
}

/// What an `emptyDir` lies on. Kubernetes' documentation of volumes says how long each lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Medium {
    /// The node's disk: it lasts as long as the pod is on the node.
    Disk,
    /// A tmpfs: it ends with the pod, and with each boot of the node.
    Memory,
}

impl Medium {
    /// What the names of all volumes of this medium in a pod begin with.
    pub(super) fn volumes_of(self, uid: &str) -> String {
        match self {
            Self::Disk => format!("emptyDir:{uid}/"),
            Self::Memory => format!("tmpfs:{uid}/"),
        }
    }
}

/// The volume that holds ZooKeeper's data in this container: a claim by its uid, since another claim of its name holds
/// nothing of it, or an `emptyDir` by its pod. Anything else is taken for the container's own layer.
fn data_volume(store: &Store, pod: &Value, container: &Value) -> Option<String> {
    let volume = volume_at(pod, container, DATA_DIR)?;
    if volume.get("emptyDir").is_some() {
        let memory = text(volume, "/emptyDir/medium") == Some("Memory");
        let medium = if memory { Medium::Memory } else { Medium::Disk };
        return Some(format!(
            "{}{}",
            medium.volumes_of(tree::uid(pod)),
            text(volume, "/name").unwrap_or_default()
        ));
    }
    let claim = store.get(Kind::PersistentVolumeClaim, namespace(pod), claim_of(volume)?)?;
    Some(tree::uid(claim).to_owned())
}

/// Where a container starts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its pod's address.
    pub(super) address: &'a str,
    /// How often it has been started again in this pod.
    pub(super) restarts: u32,
}

/// What Exhibitor is told when it starts in this container.
pub(super) fn member(
    store: &Store,
    pod: &Value,
    container: &Value,
    place: Place<'_>,
    mut env: BTreeMap<String, String>,
) -> ContainerStart {
    let Place { address, restarts } = place;
    let volume = volume_at(pod, container, CONFIG_DIR);
    let nfs = volume.and_then(|volume| Some((text(volume, "/nfs/server")?, text(volume, "/nfs/path")?)));
    let share = match (nfs, volume) {
        (Some((server, path)), _) => format!("{server}:{path}"),
        // Any other volume is the pod's own: nobody else sees it.
        (None, Some(_)) => format!("pod:{}", tree::uid(pod)),
        // The container's own layer ends with the container.
        (None, None) => format!("container:{}/{restarts}", tree::uid(pod)),
    };
    if text(container, "/image").is_some_and(is_ours) {
        env.insert("EXHIBITOR_KEEPS_COPY".to_owned(), "1".to_owned());
    }
    let size = env.get("ZK_ENSEMBLE_SIZE").and_then(|text| text.parse().ok()).unwrap_or(0);
    let hostname = env.get("HOSTNAME").filter(|name| !name.is_empty()).cloned();
    ContainerStart {
        share,
        address: address.to_owned(),
        hostname: hostname.unwrap_or_else(|| address.to_owned()),
        volume: data_volume(store, pod, container),
        ensemble_size: size,
        env,
    }
}

/// Whether the readiness probe takes a standalone ZooKeeper for ready: it says so, and the declared size is 1 now.
/// The size is read where the probe reads it: a mounted ConfigMap changes under a running container, its environment
/// does not.
pub(super) fn accepts_standalone(store: &Store, pod: &Value, container: &Value, size: u32) -> bool {
    let command = items(container, "/readinessProbe/exec/command").iter().filter_map(Value::as_str);
    let command: String = command.collect::<Vec<_>>().join(" ");
    if !command.contains("standalone") {
        return false;
    }
    let file = items(container, "/volumeMounts").iter().find_map(|mount| {
        let directory = text(mount, "/mountPath")?;
        let key =
            command.split(&format!("{directory}/")).nth(1)?.split(|c: char| !c.is_alphanumeric()).next()?;
        let volume = items(pod, "/spec/volumes")
            .iter()
            .find(|volume| text(volume, "/name") == text(mount, "/name"))?;
        let map = store.get(Kind::ConfigMap, namespace(pod), text(volume, "/configMap/name")?)?;
        text(map, &format!("/data/{key}")).map(str::to_owned)
    });
    file.map_or(size == 1, |text| text.trim() == "1")
}

/// Milliseconds from the deletion of a pod to its end, within its grace period. Exhibitor's image ignores SIGTERM:
/// without a `preStop` hook it runs until it is killed.
pub(super) fn ending(pod: &Value) -> u64 {
    let grace = int(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or(30);
    let grace = u64::try_from(grace).unwrap_or(0) * 1000;
    match exhibitor(pod) {
        Some(container) if container.pointer("/lifecycle/preStop").is_some() => grace.min(2000),
        Some(_) => grace,
        None => grace.min(1000),
    }
}

/// Names of a pod's containers with their images.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = (&str, &str)> {
    items(pod, "/spec/containers").iter().map(|container| {
        (text(container, "/name").unwrap_or_default(), text(container, "/image").unwrap_or_default())
    })
}

/// `NAMESPACE/NAME` of a pod.
pub(super) fn key(pod: &Value) -> (String, String) {
    (namespace(pod).to_owned(), name(pod).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mounts_fail_as_the_server_is() {
        let export = |up: bool| Export {
            network: String::new(),
            names: vec!["fs".to_owned()],
            path: "/data".to_owned(),
            up,
        };
        assert_eq!(export_failure("fs", "/data", &[export(true)]), None);
        assert_eq!(export_failure("fs", "/data/sub", &[export(true)]), None);
        assert!(
            export_failure("fs", "/database", &[export(true)])
                .is_some_and(|why| why.contains("No such file"))
        );
        assert!(export_failure("fs", "/data", &[export(false)]).is_some_and(|why| why.contains("timed out")));
        assert_eq!(export_failure("elsewhere", "/x", &[export(false)]), None);
    }

    #[test]
    fn our_image_is_known_by_its_name() {
        assert!(super::is_ours("eu-docker.pkg.dev/p/r/exhibitor:1.5.6-3.4.14"));
        assert!(!super::is_ours("mbabineau/zookeeper-exhibitor:latest"));
    }

    #[test]
    fn standalone_counts_only_where_the_probe_and_the_declared_size_say_so() {
        let mut store = Store::new();
        let mut put = |size: &str| {
            let map = json!({"metadata": {"name": "m", "namespace": "n"}, "data": {"size": size}});
            store.put(Kind::ConfigMap, map, 0);
            store.clone()
        };
        let (one, three) = (put("1"), put("3"));
        let pod = json!({"metadata": {"namespace": "n"},
            "spec": {"volumes": [{"name": "v", "configMap": {"name": "m"}}]}});
        let probe = |text: &str| {
            json!({"readinessProbe": {"exec": {"command": ["bash", "-c", text]}},
                "volumeMounts": [{"name": "v", "mountPath": "/etc/ensemble"}]})
        };
        let by_file = probe("case standalone) [ \"$(cat /etc/ensemble/size)\" = 1 ];; esac");
        assert!(accepts_standalone(&one, &pod, &by_file, 3), "the file, not the environment");
        assert!(!accepts_standalone(&three, &pod, &by_file, 1));
        assert!(accepts_standalone(&three, &pod, &probe("standalone"), 1));
        assert!(!accepts_standalone(&one, &pod, &probe("leader|follower"), 1));
    }

    #[test]
    fn only_a_hook_ends_an_exhibitor_early() {
        let pod = |container: Value| {
            json!({"metadata": {"deletionGracePeriodSeconds": 30},
            "spec": {"containers": [container]}})
        };
        let image = "mbabineau/zookeeper-exhibitor";
        assert_eq!(ending(&pod(json!({"image": image}))), 30_000);
        assert_eq!(ending(&pod(json!({"image": image, "lifecycle": {"preStop": {"exec": {}}}}))), 2000);
        assert_eq!(ending(&pod(json!({"image": "nginx"}))), 1000);
    }
}
