//! What the templates make of every example: goldens, and a round trip through the APIs' own types, so that a field no
//! API knows cannot hide.

#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod render {
    mod admission;
    mod api_types;
    mod goldens;
    mod scripts;
}

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use zkprov_plans::document::Desired;
use zkprov_plans::spec::{Defaults, Source, load};
use zkprov_templates::Templates;

fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

/// The folders below `examples` that hold a file for zkprov, by name, in order.
fn examples() -> Vec<(String, PathBuf)> {
    let entries = std::fs::read_dir(repository().join("examples")).unwrap();
    let mut examples: Vec<_> = entries
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), entry.path().join("zkprov.yaml")))
        .filter(|(_, file)| file.is_file())
        .collect();
    examples.sort();
    examples
}

/// One document set for each `Ensemble` in the text.
fn rendered(name: &str, text: &str) -> Vec<Desired> {
    let source = Source { name: name.to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &[], &|_| None, &Defaults::default());
    assert!(loaded.diagnostics.is_empty(), "{name}: {:#?}", loaded.diagnostics);
    let templates = Templates::new(&zkprov_templates::Overrides::new()).unwrap();
    loaded.specs.iter().map(|spec| templates.render(spec).unwrap()).collect()
}

/// The rendered documents of every example.
fn rendered_examples() -> Vec<(String, Vec<Desired>)> {
    examples()
        .into_iter()
        .map(|(name, file)| {
            let documents = rendered(&name, &std::fs::read_to_string(file).unwrap());
            (name, documents)
        })
        .collect()
}

/// A file that turns on what no example does, so that every branch of every template is rendered.
const EVERYTHING_ELSE: &str = r#"
apiVersion: zkprov.dev/v1
kind: Ensemble
metadata: {name: other}
spec:
  project: example.com:my-project
  zone: us-east1-d
  fileServer:
    singleNode:
      name: other-files
      nodeRanges: [10.10.0.0/20]
      squash: root
      snapshots: {}
  cluster:
    name: other
    version: 1.33.5-gke.100
    releaseChannel: UNSPECIFIED
    network: projects/host-project/global/networks/vpc
    subnetwork: projects/host-project/regions/us-east1/subnetworks/nodes
    privateNodes: true
  exhibitor:
    replicas: 3
    namespace: other
    exposure: internal
    spread: none
    settings: {backup: {}}
    backup:
      schedule: "@daily"
      to: gs://my-backups/zookeeper
      image: example.com/zkprov:1
      googleServiceAccount: backup@my-project.iam.gserviceaccount.com
"#;

/// Every document of every example and of [`EVERYTHING_ELSE`].
static EVERY_SET: LazyLock<Vec<(String, Vec<Desired>)>> = LazyLock::new(|| {
    let mut sets = rendered_examples();
    sets.push(("everything else".to_owned(), rendered("everything else", EVERYTHING_ELSE)));
    sets
});

/// One set of documents, where any will do.
fn any_set() -> &'static Desired {
    &EVERY_SET.last().unwrap().1[0]
}
