//! Every example is planned, applied, planned again and destroyed, its data kept and deleted.

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

/// Tests that share the examples, so that they run side by side.
const STRIPES: usize = 3;

async fn life(name: &str) -> Result<(), String> {
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
    let applied = lab.running.world().unwrap();
    let unguarded = ["spec.protection.destroy=false", "spec.protection.data=false"];
    for delete_data in [false, true] {
        lab.running.restore(applied.clone()).unwrap();
        for spec in specs(&example(name), &[network, &unguarded].concat()).iter().rev() {
            let failed = |error| format!("destroying {}, data too: {delete_data}: {error}", spec.name);
            lab.destroy(spec, delete_data).await.map_err(failed)?;
        }
    }
    Ok(())
}

async fn lives(stripe: usize) {
    let mut failures = Vec::new();
    for name in names().iter().skip(stripe).step_by(STRIPES) {
        if let Err(error) = life(name).await {
            failures.push(format!("{name}: {error}"));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

macro_rules! stripes {
    ($($name:ident $stripe:literal)*) => {$(
        #[test]
        fn $name() {
            block_on(lives($stripe));
        }
    )*};
}

stripes! {
    every_third_example_comes_up_settles_and_goes_without_and_with_its_data 0
    every_third_example_from_the_second_on_comes_up_settles_and_goes 1
    every_third_example_from_the_third_on_comes_up_settles_and_goes 2
}
