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
async fn prepare(lab: &Lab, name: &str) -> Result<(), String> {
    if name != "existing-cluster" {
        return Ok(());
    }
    let somebody = [
        "metadata.name=somebody",
        "spec.zone=us-central1-a",
        "spec.cluster.name=shared",
        "spec.fileServer.singleNode.name=somebody-files",
    ];
    lab.apply(&specs(&example("tutorial"), &somebody)[0]).await
}

/// The embedded cloud has the network that every new project has, and no other.
fn networks(name: &str) -> &'static [&'static str] {
    match name {
        "private" => &[
            "spec.cluster.network=default",
            "spec.cluster.subnetwork=default",
            "spec.fileServer.singleNode.subnetwork=default",
        ],
        _ => &[],
    }
}

async fn life(name: &str, delete_data: bool) -> Result<(), String> {
    let lab = Lab::start().await;
    prepare(&lab, name).await?;
    let network = networks(name);
    let ensembles: Vec<ValidSpec> = specs(&example(name), network);
    for spec in &ensembles {
        lab.apply(spec).await.map_err(|error| format!("applying {}: {error}", spec.name))?;
    }
    for spec in &ensembles {
        let again = lab.plan(spec).await;
        if !again.is_empty() {
            return Err(format!("{} is not settled:\n{}", spec.name, again.words()));
        }
    }
    let unguarded = ["spec.protection.destroy=false", "spec.protection.data=false"];
    for spec in specs(&example(name), &[network, &unguarded].concat()).iter().rev() {
        lab.destroy(spec, delete_data).await.map_err(|error| format!("destroying {}: {error}", spec.name))?;
    }
    Ok(())
}

async fn lives(delete_data: bool) {
    let mut failures = Vec::new();
    for name in names() {
        if let Err(error) = life(&name, delete_data).await {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn every_example_comes_up_settles_and_goes_but_for_its_data() {
    block_on(lives(false));
}

#[test]
fn every_example_comes_up_settles_and_goes_with_its_data() {
    block_on(lives(true));
}
