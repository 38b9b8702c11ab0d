//! Which templates there are, and which documents a spec asks for.

use crate::naming;
use zkprov_plans::resource::{KubeKind, ResourceId, ResourceKind, Scope};
use zkprov_plans::spec::{Exposure, FileServer, ManagedCluster, SingleNode, Storage, ValidSpec};

macro_rules! built_in {
    ($($name:literal),* $(,)?) => { &[$(($name, include_str!(concat!("../files/", $name)))),*] };
}

/// The built-in templates, in the order of creation.
pub(crate) const BUILT_IN: &[(&str, &str)] = built_in![
    "address.json.j2",
    "snapshot-schedule.json.j2",
    "disk.json.j2",
    "firewall-allow.json.j2",
    "firewall-deny.json.j2",
    "startup-script.sh.j2",
    "instance.json.j2",
    "filestore.json.j2",
    "cluster.json.j2",
    "node-pool.json.j2",
    "namespace.yaml.j2",
    "admission-policy.yaml.j2",
    "admission-policy-binding.yaml.j2",
    "config-map.yaml.j2",
    "network-policy.yaml.j2",
    "disruption-budget.yaml.j2",
    "service.yaml.j2",
    "service-internal.yaml.j2",
    "service-members.yaml.j2",
    "volume-claim.yaml.j2",
    "pod.yaml.j2",
    "deployment.yaml.j2",
    "stateful-set.yaml.j2",
    "backup-service-account.yaml.j2",
    "backup-role.yaml.j2",
    "backup-role-binding.yaml.j2",
    "backup-config-map.yaml.j2",
    "backup-cron-job.yaml.j2",
    "ensemble.json.j2",
];

/// The template that makes the start-up script; the instance's carries the result.
pub(crate) const STARTUP_SCRIPT: &str = "startup-script.sh.j2";

/// Names of the templates that can be overridden, in the order of creation.
#[must_use]
pub fn names() -> &'static [&'static str] {
    const NAMES: [&str; BUILT_IN.len()] = {
        let mut names = [""; BUILT_IN.len()];
        let mut index = 0;
        while index < BUILT_IN.len() {
            names[index] = BUILT_IN[index].0;
            index += 1;
        }
        names
    };
    &NAMES
}

/// A document to render.
pub(crate) struct Entry {
    pub(crate) id: ResourceId,
    pub(crate) template: &'static str,
}

/// The documents of a spec, in the order of creation: what another one names comes first.
pub(crate) fn entries(spec: &ValidSpec) -> Vec<Entry> {
    let mut entries = match &spec.file_server {
        FileServer::SingleNode(vm) => single_node(spec, vm),
        FileServer::Filestore(filestore) => {
            vec![google(
                spec,
                ResourceKind::FilestoreInstance,
                &filestore.location,
                &filestore.name,
                "filestore.json.j2",
            )]
        }
        FileServer::External(_) => vec![],
    };
    entries.extend(naming::managed(spec).into_iter().flat_map(|cluster| gke(spec, cluster)));
    entries.extend(kubernetes(spec));
    let scope =
        Scope::Kube { cluster: spec.cluster.name().to_owned(), namespace: spec.exhibitor.namespace.clone() };
    let id = ResourceId { kind: ResourceKind::Ensemble, scope, name: spec.name.clone() };
    entries.push(Entry { id, template: "ensemble.json.j2" });
    entries
}

fn google(spec: &ValidSpec, kind: ResourceKind, location: &str, name: &str, template: &'static str) -> Entry {
    let scope = Scope::Google { project: spec.project.clone(), location: location.to_owned() };
    Entry { id: ResourceId { kind, scope, name: name.to_owned() }, template }
}

fn single_node(spec: &ValidSpec, vm: &SingleNode) -> Vec<Entry> {
    let (region, zone) = (spec.region(), vm.zone.as_str());
    let mut entries = vec![google(spec, ResourceKind::Address, region, &vm.name, "address.json.j2")];
    if vm.snapshots.is_some() {
        let name = naming::snapshot_schedule(vm);
        entries.push(google(
            spec,
            ResourceKind::SnapshotSchedule,
            region,
            &name,
            "snapshot-schedule.json.j2",
        ));
    }
    let firewall = |name: String, template| {
        let project = naming::network_project(&spec.project, &vm.network).to_owned();
        let scope = Scope::Google { project, location: "global".to_owned() };
        Entry { id: ResourceId { kind: ResourceKind::Firewall, scope, name }, template }
    };
    entries.extend([
        google(spec, ResourceKind::Disk, zone, &naming::data_disk(vm), "disk.json.j2"),
        firewall(naming::firewall_allow(vm), "firewall-allow.json.j2"),
        firewall(naming::firewall_deny(vm), "firewall-deny.json.j2"),
        google(spec, ResourceKind::Instance, zone, &vm.name, "instance.json.j2"),
    ]);
    entries
}

fn gke(spec: &ValidSpec, cluster: &ManagedCluster) -> [Entry; 2] {
    let scope = Scope::Pool {
        project: spec.project.clone(),
        location: spec.zone.clone(),
        cluster: cluster.name.clone(),
    };
    let pool = ResourceId { kind: ResourceKind::NodePool, scope, name: naming::NODE_POOL.to_owned() };
    [
        google(spec, ResourceKind::Cluster, &spec.zone, &cluster.name, "cluster.json.j2"),
        Entry { id: pool, template: "node-pool.json.j2" },
    ]
}

fn kubernetes(spec: &ValidSpec) -> Vec<Entry> {
    let exhibitor = &spec.exhibitor;
    let object = |kind: KubeKind, name: String, template| {
        let namespace = if kind.api().namespaced { exhibitor.namespace.clone() } else { "-".to_owned() };
        let scope = Scope::Kube { cluster: spec.cluster.name().to_owned(), namespace };
        Entry { id: ResourceId { kind: ResourceKind::Kube(kind), scope, name }, template }
    };
    let own = || spec.name.clone();
    let mut entries = vec![];
    // `default` exists in every cluster and is nobody's to own.
    if exhibitor.namespace != "default" {
        entries.push(object(KubeKind::Namespace, exhibitor.namespace.clone(), "namespace.yaml.j2"));
    }
    let policy = naming::admission_policy(spec);
    entries.extend([
        object(KubeKind::ValidatingAdmissionPolicy, policy.clone(), "admission-policy.yaml.j2"),
        object(KubeKind::ValidatingAdmissionPolicyBinding, policy, "admission-policy-binding.yaml.j2"),
        object(KubeKind::ConfigMap, naming::config_map(spec), "config-map.yaml.j2"),
    ]);
    if exhibitor.network_policy {
        entries.push(object(KubeKind::NetworkPolicy, own(), "network-policy.yaml.j2"));
    }
    if exhibitor.disruption_budget {
        entries.push(object(KubeKind::PodDisruptionBudget, own(), "disruption-budget.yaml.j2"));
    }
    entries.push(object(KubeKind::Service, own(), "service.yaml.j2"));
    match exhibitor.exposure {
        Exposure::Internal => {
            entries.push(object(
                KubeKind::Service,
                naming::internal_service(spec),
                "service-internal.yaml.j2",
            ));
        }
        Exposure::ClusterIp | Exposure::Headless => {}
    }
    match exhibitor.storage {
        Storage::Ephemeral => entries.push(object(KubeKind::Deployment, own(), "deployment.yaml.j2")),
        Storage::Persistent(_) => {
            entries.push(object(KubeKind::Service, naming::members_service(spec), "service-members.yaml.j2"));
            entries.extend((0..exhibitor.replicas).map(|ordinal| {
                let name = naming::volume_claim(spec, ordinal);
                object(KubeKind::PersistentVolumeClaim, name, "volume-claim.yaml.j2")
            }));
            entries.push(object(KubeKind::StatefulSet, own(), "stateful-set.yaml.j2"));
        }
    }
    if exhibitor.backup.is_some() {
        let name = naming::backup(spec);
        entries.extend([
            object(KubeKind::ServiceAccount, name.clone(), "backup-service-account.yaml.j2"),
            object(KubeKind::Role, name.clone(), "backup-role.yaml.j2"),
            object(KubeKind::RoleBinding, name.clone(), "backup-role-binding.yaml.j2"),
            object(KubeKind::ConfigMap, name.clone(), "backup-config-map.yaml.j2"),
            object(KubeKind::CronJob, name, "backup-cron-job.yaml.j2"),
        ]);
    }
    entries
}
