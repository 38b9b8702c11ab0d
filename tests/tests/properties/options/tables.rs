//! The rows: options with another value, and what a plan says of it.

/// One option, changed.
pub(super) struct Row {
    /// The key of the file, as the schema calls it.
    pub(super) key: &'static str,
    /// Overrides as `--set` takes them.
    pub(super) set: &'static [&'static str],
    /// What the plan has to say.
    pub(super) shows: Shows,
}

/// What a plan says of a change. Resources are named as the report names them, fields by their paths.
pub(super) enum Shows {
    /// A field of a resource changes in place, because of the row's key.
    Field(&'static str, &'static str),
    /// A resource that can be made again is replaced because of a field; a note says what that costs.
    Replaces(&'static str, &'static str, &'static str),
    /// A resource appears.
    Creates(&'static str),
    /// A resource goes.
    Deletes(&'static str),
    /// Nothing is done: a finding of this code says so in these words, among others.
    Refuses(&'static str, &'static str),
}

const fn row(key: &'static str, set: &'static [&'static str], shows: Shows) -> Row {
    Row { key, set, shows }
}

pub(super) use Shows::{Creates, Deletes, Field, Refuses, Replaces};

pub(super) const MACHINES: &[Row] = &[
    row(
        "metadata.labels",
        &["metadata.labels={team: search}"],
        Field("instance singlefs-1-vm", "labels[team]"),
    ),
    row(
        "spec.fileServer.singleNode.machineType",
        &["spec.fileServer.singleNode.machineType=e2-small"],
        Field("instance singlefs-1-vm", "machineType"),
    ),
    row(
        "spec.fileServer.singleNode.disk.size",
        &["spec.fileServer.singleNode.disk.size=200GB"],
        Field("disk singlefs-1-vm-data", "sizeGb"),
    ),
    row(
        "spec.fileServer.singleNode.disk.size",
        &["spec.fileServer.singleNode.disk.size=50GB"],
        Refuses("replacement-not-allowed", "sizeGb cannot change in place"),
    ),
    row(
        "spec.fileServer.singleNode.disk.type",
        &["spec.fileServer.singleNode.disk.type=pd-ssd"],
        Refuses("replacement-not-allowed", "type cannot change in place"),
    ),
    row(
        "spec.fileServer.singleNode.snapshots.startTime",
        &["spec.fileServer.singleNode.snapshots.startTime=05:00"],
        Creates("snapshot-schedule singlefs-1-vm-daily"),
    ),
    row(
        "spec.fileServer.singleNode.externalAddress",
        &["spec.fileServer.singleNode.externalAddress=false"],
        Field("instance singlefs-1-vm", "networkInterfaces[].accessConfigs"),
    ),
    row(
        "spec.fileServer.singleNode.network",
        &["spec.fileServer.singleNode.network=other"],
        Replaces("instance singlefs-1-vm", "networkInterfaces[].network", "the data disk stays"),
    ),
    row(
        "spec.fileServer.singleNode.subnetwork",
        &["spec.fileServer.singleNode.subnetwork=other"],
        Replaces("instance singlefs-1-vm", "networkInterfaces[].subnetwork", "the data disk stays"),
    ),
    row(
        "spec.protection.destroy",
        &["spec.protection.destroy=true"],
        Field("instance singlefs-1-vm", "deletionProtection"),
    ),
];

/// What a VM is made from once and for all.
pub(super) const BOOT: &[Row] = &[
    row(
        "spec.fileServer.singleNode.image",
        &["spec.fileServer.singleNode.image=projects/debian-cloud/global/images/family/debian-12"],
        Replaces("instance singlefs-1-vm", "metadata.items[zkprov-boot-disk]", "the data disk stays"),
    ),
    row(
        "spec.fileServer.singleNode.bootDisk.size",
        &["spec.fileServer.singleNode.bootDisk.size=20GB"],
        Replaces("instance singlefs-1-vm", "metadata.items[zkprov-boot-disk]", "the data disk stays"),
    ),
];

/// What the start-up script acts on.
pub(super) const SCRIPT: &[Row] = &[
    row(
        "spec.fileServer.singleNode.smb",
        &["spec.fileServer.singleNode.smb=false"],
        Field("firewall singlefs-1-vm-allow", "allowed"),
    ),
    row(
        "spec.fileServer.singleNode.squash",
        &["spec.fileServer.singleNode.squash=none"],
        Field("instance singlefs-1-vm", "metadata.items[startup-script]"),
    ),
    row(
        "spec.fileServer.singleNode.allowedRanges",
        &["spec.fileServer.singleNode.allowedRanges=[10.9.0.0/24]"],
        Field("firewall singlefs-1-vm-allow", "sourceRanges"),
    ),
    row(
        "spec.fileServer.singleNode.nodeRanges",
        &["spec.fileServer.singleNode.nodeRanges=[10.142.0.0/20]"],
        Field("instance singlefs-1-vm", "metadata.items[startup-script]"),
    ),
];

pub(super) const SHARES: &[Row] = &[
    row(
        "spec.fileServer.singleNode.name",
        &["spec.fileServer.singleNode.name=files"],
        Refuses("share-would-move", "second ensemble"),
    ),
    row(
        "spec.fileServer.singleNode.path",
        &["spec.fileServer.singleNode.path=/export"],
        Refuses("share-would-move", "/data -> /export"),
    ),
    row(
        "spec.cluster.name",
        &["spec.cluster.name=cluster-2"],
        Refuses("ensemble-would-move", "second ensemble"),
    ),
    row(
        "spec.exhibitor.namespace",
        &["spec.exhibitor.namespace=zk"],
        Refuses("ensemble-would-move", "second ensemble"),
    ),
];

pub(super) const CLUSTER: &[Row] = &[
    row(
        "spec.cluster.nodeCount",
        &["spec.cluster.nodeCount=5"],
        Field("node-pool default-pool", "initialNodeCount"),
    ),
    row(
        "spec.cluster.machineType",
        &["spec.cluster.machineType=e2-standard-2"],
        Field("node-pool default-pool", "config.machineType"),
    ),
    row(
        "spec.cluster.disk.size",
        &["spec.cluster.disk.size=50GB"],
        Field("node-pool default-pool", "config.diskSizeGb"),
    ),
    row(
        "spec.cluster.disk.type",
        &["spec.cluster.disk.type=pd-ssd"],
        Field("node-pool default-pool", "config.diskType"),
    ),
    row(
        "spec.cluster.version",
        &["spec.cluster.version=\"1.35\"", "spec.cluster.releaseChannel=UNSPECIFIED"],
        Field("gke cluster-1", "initialClusterVersion"),
    ),
    row(
        "spec.cluster.network",
        &["spec.cluster.network=other"],
        Refuses("replacement-not-allowed", "network cannot change in place"),
    ),
    row(
        "spec.cluster.subnetwork",
        &["spec.cluster.subnetwork=other"],
        Refuses("replacement-not-allowed", "subnetwork cannot change in place"),
    ),
    row(
        "spec.cluster.privateNodes",
        &["spec.cluster.privateNodes=true"],
        Refuses("replacement-not-allowed", "every znode"),
    ),
    row(
        "spec.cluster.labels",
        &["spec.cluster.labels={team: search}"],
        Field("gke cluster-1", "resourceLabels[team]"),
    ),
];

pub(super) const CHANNEL: &[Row] = &[row(
    "spec.cluster.releaseChannel",
    &["spec.cluster.releaseChannel=STABLE"],
    Field("gke cluster-1", "releaseChannel.channel"),
)];

pub(super) const PODS: &[Row] = &[
    row(
        "spec.exhibitor.image",
        &["spec.exhibitor.image=mbabineau/zookeeper-exhibitor:3.4.6"],
        Field("deployment exhibitor", "spec.template.spec.containers[exhibitor].image"),
    ),
    row(
        "spec.exhibitor.pullPolicy",
        &["spec.exhibitor.pullPolicy=Always"],
        Field("deployment exhibitor", "spec.template.spec.containers[exhibitor].imagePullPolicy"),
    ),
    row(
        "spec.exhibitor.resources.cpu",
        &["spec.exhibitor.resources.cpu=300m"],
        Field("deployment exhibitor", "spec.template.spec.containers[exhibitor].resources.requests.cpu"),
    ),
    row(
        "spec.exhibitor.resources.memory",
        &["spec.exhibitor.resources.memory=1200Mi"],
        Field("deployment exhibitor", "spec.template.spec.containers[exhibitor].resources.limits.memory"),
    ),
    row(
        "spec.exhibitor.spread",
        &["spec.exhibitor.spread=required"],
        Field(
            "deployment exhibitor",
            "spec.template.spec.affinity.podAntiAffinity.requiredDuringSchedulingIgnoredDuringExecution[kubernetes.io/hostname].topologyKey",
        ),
    ),
    row(
        "spec.exhibitor.terminationGrace",
        &["spec.exhibitor.terminationGrace=45s"],
        Field("deployment exhibitor", "spec.template.spec.terminationGracePeriodSeconds"),
    ),
    row(
        "spec.exhibitor.settings.backup.period",
        &["spec.exhibitor.settings.backup.period=5m"],
        Field("deployment exhibitor", "spec.template.spec.volumes[backups].hostPath.path"),
    ),
    row(
        "spec.exhibitor.clientPort",
        &["spec.exhibitor.clientPort=2182"],
        Field("service exhibitor", "spec.ports[zk].port"),
    ),
    row(
        "spec.exhibitor.apiPort",
        &["spec.exhibitor.apiPort=8282"],
        Field("service exhibitor", "spec.ports[api].port"),
    ),
];

/// Growing takes newcomers in one by one; pods are not replaced at the same time.
pub(super) const REPLICAS: &[Row] = &[
    row(
        "spec.exhibitor.replicas",
        &["spec.exhibitor.replicas=5"],
        Field("deployment exhibitor", "spec.replicas"),
    ),
    row(
        "spec.exhibitor.replicas",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.pullPolicy=Always"],
        Refuses("grows-and-rolls", "--set spec.exhibitor.replicas=3"),
    ),
];

pub(super) const ACCESS: &[Row] = &[
    row(
        "spec.exhibitor.exposure",
        &["spec.exhibitor.exposure=headless"],
        Replaces("service exhibitor", "spec.clusterIP", "new connections"),
    ),
    row(
        "spec.exhibitor.exposure",
        &["spec.exhibitor.exposure=internal"],
        Creates("service exhibitor-internal"),
    ),
    row(
        "spec.exhibitor.networkPolicy",
        &["spec.exhibitor.networkPolicy=false"],
        Deletes("networkpolicy exhibitor"),
    ),
    row(
        "spec.exhibitor.clientLabels",
        &["spec.exhibitor.clientLabels={role: client}"],
        Field("networkpolicy exhibitor", "spec.ingress"),
    ),
    row(
        "spec.exhibitor.disruptionBudget",
        &["spec.exhibitor.disruptionBudget=false"],
        Deletes("poddisruptionbudget exhibitor"),
    ),
];

/// What the file had once, and has no longer.
pub(super) const LABELS: &[Row] = &[
    row("metadata.labels", &["metadata.labels={env: test}"], Field("instance singlefs-1-vm", "labels[team]")),
    row("metadata.labels", &["metadata.labels={}"], Field("disk singlefs-1-vm-data", "labels[env]")),
    row("spec.cluster.labels", &["spec.cluster.labels={}"], Field("gke cluster-1", "resourceLabels[cost]")),
];

/// On private nodes.
pub(super) const PRIVATE: &[Row] = &[row(
    "spec.cluster.privateNodes",
    &["spec.cluster.privateNodes=false"],
    Refuses("replacement-not-allowed", "every znode"),
)];

/// On a headless Service.
pub(super) const HEADLESS: &[Row] = &[row(
    "spec.exhibitor.exposure",
    &["spec.exhibitor.exposure=clusterIp"],
    Replaces("service exhibitor", "spec.clusterIP", "new connections"),
)];

pub(super) const SETTINGS: &[Row] = &[
    row(
        "spec.exhibitor.heap",
        &["spec.exhibitor.heap=300MiB"],
        Field("ensemble exhibitor", "settings.javaEnvironment"),
    ),
    row(
        "spec.exhibitor.jvmOptions",
        &["spec.exhibitor.jvmOptions=-XX:+UseSerialGC"],
        Field("ensemble exhibitor", "settings.javaEnvironment"),
    ),
    row(
        "spec.exhibitor.settings.check",
        &["spec.exhibitor.settings.check=20s"],
        Field("ensemble exhibitor", "settings.checkMs"),
    ),
    row(
        "spec.exhibitor.settings.settling",
        &["spec.exhibitor.settings.settling=120s"],
        Field("ensemble exhibitor", "settings.autoManageInstancesSettlingPeriodMs"),
    ),
    row(
        "spec.exhibitor.settings.cleanupPeriod",
        &["spec.exhibitor.settings.cleanupPeriod=10m"],
        Field("ensemble exhibitor", "settings.cleanupPeriodMs"),
    ),
    row(
        "spec.exhibitor.settings.cleanupMaxFiles",
        &["spec.exhibitor.settings.cleanupMaxFiles=5"],
        Field("ensemble exhibitor", "settings.cleanupMaxFiles"),
    ),
    row(
        "spec.exhibitor.settings.zooCfg",
        &["spec.exhibitor.settings.zooCfg={maxClientCnxns: 99}"],
        Field("ensemble exhibitor", "settings.zooCfgExtra.maxClientCnxns"),
    ),
];

pub(super) const FILESTORE: &[Row] = &[
    row(
        "spec.fileServer.filestore.name",
        &["spec.fileServer.filestore.name=files"],
        Refuses("ensemble-would-move", "second ensemble"),
    ),
    row(
        "spec.fileServer.filestore.tier",
        &["spec.fileServer.filestore.tier=BASIC_SSD", "spec.fileServer.filestore.capacity=2560GiB"],
        Refuses("replacement-not-allowed", "tier cannot change in place"),
    ),
    row(
        "spec.fileServer.filestore.capacity",
        &["spec.fileServer.filestore.capacity=2TiB"],
        Field("filestore exhibitor-files", "fileShares[].capacityGb"),
    ),
    row(
        "spec.fileServer.filestore.share",
        &["spec.fileServer.filestore.share=other"],
        Refuses("replacement-not-allowed", "the files of the share"),
    ),
    row(
        "spec.fileServer.filestore.network",
        &["spec.fileServer.filestore.network=other"],
        Refuses("replacement-not-allowed", "networks[].network cannot change in place"),
    ),
    row(
        "spec.fileServer.filestore.reservedRange",
        &["spec.fileServer.filestore.reservedRange=10.91.0.0/29"],
        Refuses("replacement-not-allowed", "reservedIpRange cannot change in place"),
    ),
];

/// Where backups are taken already.
pub(super) const BACKUPS: &[Row] = &[
    row(
        "spec.exhibitor.settings.backup.period",
        &["spec.exhibitor.settings.backup.period=5m"],
        Field("ensemble exhibitor", "settings.backupPeriodMs"),
    ),
    row(
        "spec.exhibitor.settings.backup.maxStore",
        &["spec.exhibitor.settings.backup.maxStore=12h"],
        Field("ensemble exhibitor", "settings.backupMaxStoreMs"),
    ),
];

/// Backups on a schedule.
pub(super) const SCHEDULE: &[Row] = &[
    row(
        "spec.exhibitor.backup.schedule",
        &["spec.exhibitor.backup.schedule=0 4 * * sun"],
        Field("cronjob zookeeper-backup", "spec.schedule"),
    ),
    row(
        "spec.exhibitor.backup.timeZone",
        &["spec.exhibitor.backup.timeZone=Etc/UTC"],
        Field("cronjob zookeeper-backup", "spec.timeZone"),
    ),
    row(
        "spec.exhibitor.backup.keep",
        &["spec.exhibitor.backup.keep=7"],
        Field("cronjob zookeeper-backup", "spec.jobTemplate.spec.template.spec.containers[backup].args"),
    ),
    row(
        "spec.exhibitor.backup.to",
        &["spec.exhibitor.backup.to=gs://my-backups"],
        Field("cronjob zookeeper-backup", "spec.jobTemplate.spec.template.spec.containers[backup].args"),
    ),
    row(
        "spec.exhibitor.backup.image",
        &["spec.exhibitor.backup.image=example.com/zkprov:2"],
        Field("cronjob zookeeper-backup", "spec.jobTemplate.spec.template.spec.containers[backup].image"),
    ),
    row(
        "spec.exhibitor.backup.googleServiceAccount",
        &[
            "spec.exhibitor.backup.to=gs://my-backups",
            "spec.exhibitor.backup.googleServiceAccount=backup@my-project.iam.gserviceaccount.com",
        ],
        Field("serviceaccount zookeeper-backup", "metadata.annotations[iam.gke.io/gcp-service-account]"),
    ),
    row(
        "spec.exhibitor.backup.resources.cpu",
        &["spec.exhibitor.backup.resources.cpu=500m"],
        Field(
            "cronjob zookeeper-backup",
            "spec.jobTemplate.spec.template.spec.containers[backup].resources.requests.cpu",
        ),
    ),
    row(
        "spec.exhibitor.backup.resources.memory",
        &["spec.exhibitor.backup.resources.memory=2Gi"],
        Field(
            "cronjob zookeeper-backup",
            "spec.jobTemplate.spec.template.spec.containers[backup].resources.limits.memory",
        ),
    ),
];

/// Snapshots that are there already.
pub(super) const SNAPSHOTS: &[Row] = &[
    row(
        "spec.fileServer.singleNode.snapshots.startTime",
        &["spec.fileServer.singleNode.snapshots.startTime=05:00"],
        Field(
            "snapshot-schedule zookeeper-files-daily",
            "snapshotSchedulePolicy.schedule.dailySchedule.startTime",
        ),
    ),
    row(
        "spec.fileServer.singleNode.snapshots.keepDays",
        &["spec.fileServer.singleNode.snapshots.keepDays=9"],
        Field(
            "snapshot-schedule zookeeper-files-daily",
            "snapshotSchedulePolicy.retentionPolicy[maxRetentionDays]",
        ),
    ),
];

/// Snapshots that are there and no longer wanted: the schedule is detached before it goes.
pub(super) const NO_SNAPSHOTS: &[Row] = &[row(
    "spec.fileServer.singleNode.snapshots.startTime",
    &[],
    Field("disk singlefs-1-vm-data", "resourcePolicies"),
)];

pub(super) const EXTERNAL: &[Row] = &[
    row(
        "spec.fileServer.external.server",
        &["spec.fileServer.external.server=nfs-2.corp.example.com"],
        Refuses("share-would-move", "nfs-2.corp.example.com"),
    ),
    row(
        "spec.fileServer.external.path",
        &["spec.fileServer.external.path=/export/other"],
        Refuses("share-would-move", "/export/other"),
    ),
];

/// Members with volumes, five of them.
pub(super) const VOLUMES: &[Row] = &[
    row(
        "spec.exhibitor.storage.persistent.size",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.storage.persistent.size=20GB"],
        Field("persistentvolumeclaim data-exhibitor-0", "spec.resources.requests.storage"),
    ),
    row(
        "spec.exhibitor.storage.persistent.size",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.storage.persistent.size=20GB"],
        Replaces(
            "statefulset exhibitor",
            "spec.volumeClaimTemplates[data].spec.resources.requests.storage",
            "around its pods",
        ),
    ),
    row(
        "spec.exhibitor.storage.persistent.size",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.storage.persistent.size=5GB"],
        Refuses("volume-would-shrink", "cannot shrink to 5Gi"),
    ),
    row(
        "spec.exhibitor.storage.persistent.class",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.storage.persistent.class=standard-rwo"],
        Refuses("volume-class-is-fixed", "write `class: premium-rwo`"),
    ),
    row(
        "spec.exhibitor.storage.persistent.retention",
        &["spec.exhibitor.replicas=3", "spec.exhibitor.storage.persistent.retention=delete"],
        Deletes("persistentvolumeclaim data-exhibitor-3"),
    ),
    row(
        "spec.exhibitor.image",
        &["spec.exhibitor.replicas=5", "spec.exhibitor.image=example.com/exhibitor:2"],
        Field("statefulset exhibitor", "spec.template.spec.containers[exhibitor].image"),
    ),
];

/// Options without a row, and why.
pub(super) const WITHOUT: &[(&str, &str)] = &[
    ("apiVersion", "has one value"),
    ("kind", "has one value"),
    ("metadata.name", "names another ensemble"),
    ("spec.project", "names another place: what is there stays as it is"),
    ("spec.zone", "names another place: what is there stays as it is"),
    ("spec.fileServer.singleNode.zone", "says the spec's zone again"),
    ("spec.fileServer.filestore.location", "says the spec's zone again"),
    ("spec.cluster.existing", "says whose the cluster is, and is in no document of its own"),
    ("spec.cluster.kubeconfig.context", "names a cluster that is not on Google Cloud"),
    ("spec.exhibitor.canary", "is about what a step measures, and is in no document"),
    ("spec.exhibitor.allowSingle", "lets a number of replicas by, and is in no document"),
    ("spec.exhibitor.storage.ephemeral", "is what a file without it means"),
    ("spec.protection.data", "lets no plan lose data, and is in no document"),
];
