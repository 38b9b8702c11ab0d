//! Every example is planned, applied, planned again and destroyed.

use crate::harness::{Lab, block_on, example, specs};
use std::path::Path;
use zkprov_plans::spec::ValidSpec;

/// The folders below `examples` that hold a file for zkprov.
fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let with_file = entries.filter(|entry| entry.path().join("zkprov.yaml").is_file());
    let mut names: Vec<String> = with_file.map(|entry| entry.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What an example finds there: somebody else's cluster.
async fn prepare(lab: &Lab, name: &str) {
    if name == "existing-cluster" {
        let somebody = specs(
            &example("tutorial"),
            &["metadata.name=somebody", "spec.zone=us-central1-a", "spec.cluster.name=shared"],
        );
        lab.apply(&somebody[0]).await.unwrap();
    }
}

async fn life(name: &str, delete_data: bool) {
    let lab = Lab::start().await;
    prepare(&lab, name).await;
    let ensembles: Vec<ValidSpec> = specs(&example(name), &[]);
    for spec in &ensembles {
        lab.apply(spec).await.unwrap_or_else(|error| panic!("{name}: applying {}: {error}", spec.name));
    }
    for spec in &ensembles {
        let again = lab.plan(spec).await;
        assert!(again.is_empty(), "{name}: {} is not settled:\n{}", spec.name, again.words());
    }
    let unguarded = ["spec.protection.destroy=false", "spec.protection.data=false"];
    for spec in specs(&example(name), &unguarded).iter().rev() {
        if spec.name == "zookeeper" {
            lab.apply(spec).await.unwrap();
        }
        lab.destroy(spec, delete_data)
            .await
            .unwrap_or_else(|error| panic!("{name}: destroying {}: {error}", spec.name));
    }
}

#[test]
fn every_example_comes_up_settles_and_goes() {
    block_on(async {
        for name in names() {
            life(&name, false).await;
            life(&name, true).await;
        }
    });
}
