//! The file that `zkprov init` writes.

/// A commented starter file for a project, a zone and a name. The texts are quoted as YAML needs; whether they are a
/// valid project, zone and name is for [`load`](super::load()) to say.
#[must_use]
pub fn starter(project: &str, zone: &str, name: &str) -> String {
    let (project, zone, name) = (quoted(project), quoted(zone), quoted(name));
    format!(
        "\
# A ZooKeeper ensemble, supervised by Exhibitor, on Google Kubernetes Engine.
# Editors complete and check this file with the schema that `zkprov schema` prints.
# Every key that is commented out shows its default. Values may hold ${{env:NAME}}.
apiVersion: zkprov.dev/v1
kind: Ensemble
metadata:
  name: {name} # names the Deployment and the Service, too
  # labels: {{team: infra}}

spec:
  project: {project}
  zone: {zone} # file server and cluster share one zone

  # Where Exhibitor's shared configuration lives: one of singleNode, filestore and external.
  fileServer:
    singleNode: # a VM that serves one data disk by NFS and SMB
      name: singlefs-1-vm
      # machineType: n1-standard-1
      # disk: {{size: 100GB, type: pd-standard}}
      # snapshots: {{startTime: \"04:00\", keepDays: 7}} # none without this key

  cluster:
    name: cluster-1
    # existing: true # use a cluster of somebody else, and never change it
    # nodeCount: 3
    # machineType: e2-medium
    # releaseChannel: REGULAR

  exhibitor:
    replicas: 3 # odd: a majority must survive; 5 survives two failures
    # image: mbabineau/zookeeper-exhibitor:latest
    # resources: {{cpu: 250m, memory: 1Gi}}
    # heap: 256MiB
    # settings: {{check: 30s, settling: 180s}}
    # spread: preferred # required: each member on a node of its own

  # protection:
  #   destroy: false # true: `zkprov destroy` refuses
  #   data: false # true: nothing that holds data is deleted or replaced, whatever flags say
"
    )
}

/// The text as it is where YAML reads it as that text, else in double quotes.
fn quoted(text: &str) -> String {
    let word = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.'))
        && !matches!(text, "true" | "false" | "null");
    if word { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::{Defaults, Source, load};

    fn loaded(project: &str, zone: &str, name: &str) -> crate::spec::Loaded {
        let source = Source { name: "zkprov.yaml".to_owned(), text: starter(project, zone, name) };
        load(&[source], &[], &|_| None, &Defaults::default())
    }

    #[test]
    fn the_starter_file_is_valid() {
        let loaded = loaded("example.com:my-project", "europe-west1-b", "orders");
        assert_eq!(loaded.diagnostics, []);
        let spec = &loaded.specs[0];
        assert_eq!((spec.project.as_str(), spec.zone.as_str()), ("example.com:my-project", "europe-west1-b"));
        assert_eq!((spec.name.as_str(), spec.exhibitor.replicas), ("orders", 3));
    }

    #[test]
    fn hostile_answers_stay_values() {
        let loaded = loaded("a\"\n  evil: [", "true", "#");
        let codes: Vec<&str> = loaded.diagnostics.iter().map(|finding| finding.code.as_str()).collect();
        assert_eq!(codes, ["invalid-name", "invalid-project", "invalid-zone"]);
    }

    /// What is commented out as a default is one: the file reads the same with those lines left in.
    #[test]
    fn the_commented_defaults_are_the_defaults() {
        let plain = loaded("my-project", "us-east1-d", "exhibitor").specs.remove(0);
        let kept = ["labels", "snapshots", "existing"];
        let text: String = starter("my-project", "us-east1-d", "exhibitor")
            .lines()
            .enumerate()
            .map(|(number, line)| {
                let body = line.trim_start();
                let is_key = number > 3 && body.starts_with("# ") && body.contains(": ");
                let stays = kept.iter().any(|key| body.contains(key)) || body.contains("one of");
                format!("{}\n", if is_key && !stays { line.replacen("# ", "", 1) } else { line.to_owned() })
            })
            .map(|line| line.replace("  # protection:", "  protection:").replace("  #   ", "    "))
            .collect();
        let source = Source { name: "zkprov.yaml".to_owned(), text };
        let loaded = load(&[source], &[], &|_| None, &Defaults::default());
        assert_eq!(loaded.diagnostics, []);
        let mut spec = loaded.specs[0].clone();
        assert!(spec.origins.len() > plain.origins.len() + 10, "{:?}", spec.origins.keys());
        spec.origins.clone_from(&plain.origins);
        assert_eq!(spec, plain);
    }
}
