//! Each rule with right and wrong values, and the patterns that editors use against the rules.

use super::*;

/// Right and wrong values of each format.
const SAMPLES: &[(&str, &[&str], &[&str])] = &[
    (
        "backup-place",
        &["fileServer", "gs://abc", "gs://my_bucket-1.example.com/a/b.c"],
        &["filestore", "gs://", "gs://ab", "gs://My-bucket", "gs://bucket/a//b", "gs://bucket/..", "/data"],
    ),
    (
        "boot-image",
        &["projects/debian-cloud/global/images/family/debian-13", "projects/my-proj/global/images/i-1"],
        &["debian-13"],
    ),
    (
        "cidr",
        &["10.0.0.0/8", "0.0.0.0/0", "10.1.2.3/32"],
        &["10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/+8", "::/0"],
    ),
    ("cluster-name", &["c", "cluster-1"], &["Cluster", "c-", "ccccccccccccccccccccccccccccccccccccccccc"]),
    (
        "container-image",
        &["nginx", "localhost:5000/a/b:v1.2_x", "a/b@sha256:0123", "mbabineau/zookeeper-exhibitor:latest"],
        &["a b", "a/B", "a:", "/a", "a//b"],
    ),
    ("cpu", &["250m", "2000m"], &["0m", "1", "m", "+5m", "0.5"]),
    ("cron", &["0 3 * * *", "@daily"], &["", "0 3 * *", "0 24 * * *", "@noon"]),
    ("disk-size", &["10GB", "1TiB"], &["10", "10Gi", "GB", "10 GB", "-1GB"]),
    ("duration", &["30s", "500ms", "24d"], &["30", "1m30s", "25d"]),
    ("ensemble-name", &["a", "exhibitor-2"], &["", "2a", "a-", "a_b", "ä"]),
    (
        "gke-version",
        &["1.33", "1.33.5", "1.33.5-gke.100"],
        &["latest", "1", "2.0", "1.33-gke.1", "1.33.5-gke."],
    ),
    (
        "google-service-account",
        &["backup@my-project.iam.gserviceaccount.com", "123-compute@developer.gserviceaccount.com"],
        &[
            "backup",
            "somebody@example.com",
            "@my-project.iam.gserviceaccount.com",
            "a@b@c.gserviceaccount.com",
        ],
    ),
    ("heap", &["256MiB", "2GiB"], &["256MB", "256"]),
    ("host", &["nfs", "nfs.example.com", "10.0.0.5", "NFS-1"], &["a:b", "a/b", "", "a..b", "-a"]),
    ("hour", &["00:00", "23:00"], &["24:00", "4:00", "04:30", "04"]),
    ("jvm-options", &["", "-XX:+UseG1GC -Da.b=1"], &["UseG1GC", "-Da=$HOME", "-Xmx1g"]),
    ("kube-label-key", &["app", "app.kubernetes.io/name", "A_b"], &["", "/a", "a/b/c", "A.b/c", "-a"]),
    ("kube-label-value", &["", "web", "A.b-c_d"], &["-", "a b"]),
    ("label-key", &["team", "a_b-1"], &["Team", "1a", "a-", "zkprov-ensemble", "goog-x", ""]),
    ("label-value", &["", "infra", "1"], &["-x", "x_", "Prod", "a.b"]),
    ("line", &["anything at all"], &["", "a\nb", "a\\b", "\u{1b}"]),
    ("location", &["us-east1", "us-east1-d"], &["us", "US-EAST1"]),
    (
        "machine-type",
        &["n1-standard-1", "e2-medium", "c4a-highmem-8"],
        &["n1", "Standard_D2", "n1--1", "1-a"],
    ),
    ("memory", &["1Gi", "512Mi", "1G"], &["1GB", "1", "Gi"]),
    ("namespace", &["default", "1a", "kube-system"], &["A", "a.b", "-a", ""]),
    (
        "network",
        &["default", "projects/host-project/global/networks/n"],
        &["a/b", "N", "projects/p/global/networks/n"],
    ),
    ("path", &["/data", "/srv/a_b.c"], &["data", "/", "/a/", "/a//b", "/a/../b", "/a b", "/a\\b", "/a\n"]),
    (
        "project",
        &["my-project", "example.com:my-project"],
        &["short", "1project", "My-Project", "x:my-project", "123456789"],
    ),
    ("resource-name", &["a", "a-1"], &["A", "a-", "1"]),
    ("share-name", &["data", "Data_1"], &["my-share", "1a", "aaaaaaaaaaaaaaaaa"]),
    ("source-range", &["10.0.0.0/8", "192.168.1.0/24"], &["0.0.0.0/0", "10.0.0.1/8", "all"]),
    ("storage-class", &["premium-rwo", "a.b"], &["", "A", "a..b", "-a"]),
    (
        "subnetwork",
        &["default", "projects/host-project/regions/us-east1/subnetworks/s"],
        &["regions/us-east1/subnetworks/s"],
    ),
    (
        "time-zone",
        &["Etc/UTC", "America/Argentina/Buenos_Aires", "Etc/GMT+1", "UTC"],
        &["", "Local", "local", "+01:00", "Europe/", "Europe Zurich"],
    ),
    (
        "zone",
        &["us-east1-d", "northamerica-northeast1-a", "us-central1-ai1a"],
        &["us-east1", "us-east-1a", "US-EAST1-D", "us-east1-dd"],
    ),
    ("zoo-cfg-key", &["tickTime", "4lw.commands.whitelist"], &["server.1", "dataDir", "a b", ""]),
];

#[test]
fn rules_accept_what_is_right_and_refuse_what_is_wrong() {
    let sampled: Vec<&str> = SAMPLES.iter().map(|(name, _, _)| *name).collect();
    assert_eq!(sampled, FORMATS.iter().map(|(name, _, _)| *name).collect::<Vec<_>>());
    for (name, right, wrong) in SAMPLES {
        for text in *right {
            assert_eq!(check(name, text), Ok(()), "{name}: {text}");
        }
        for text in *wrong {
            let problem = check(name, text).expect_err(&format!("{name}: {text}"));
            assert!(!problem.message.is_empty() && !problem.reason.is_empty() && !problem.fix.is_empty());
        }
    }
}

/// An editor must not mark what `load` takes. The other way round a pattern may be looser than its rule.
#[test]
fn patterns_match_what_is_right() {
    for (name, right, _) in SAMPLES {
        let Some(pattern) = pattern(name) else { continue };
        let pattern = regex::Regex::new(pattern).unwrap();
        for text in *right {
            assert!(pattern.is_match(text), "{name}: {text}");
        }
    }
}

/// What a fix proposes for a name is itself a name.
#[test]
fn mended_names_are_names() {
    for text in ["Exhibitor_1", "1-vm", "---", "a--", "Ünïcode", "a".repeat(80).as_str()] {
        for longest in [16, 40, 50, 63] {
            assert_eq!(rfc1035(&mended(text, longest, "x"), longest, "a name"), Ok(()), "{text}");
        }
    }
}
