//! A backup of real members while a client writes, everything lost, and everything back.

use super::node::kazoo;
use super::rig::Real;
use serde_json::Value;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use zkprov_engine::backup::Folder;
use zkprov_tests::root;

/// The image of zkprov, on the node.
const IMAGE: &str = "zkprov.invalid/zkprov:test";

#[test]
fn what_members_on_a_real_node_lose_comes_back() {
    let real = Real::up();
    real.zkprov("apply --yes").run().exits(0);
    let address = real.told("get service exhibitor -o jsonpath={.spec.clusterIP}");
    let tree = |command: &str| kazoo(&real, "tree.py", &[command, &format!("{address}:2181")]);
    tree("make").run().exits(0);
    let made = tree("read").run().exits(0).json();
    assert_eq!(made.as_object().unwrap().len(), 19);

    // Under a client that writes as fast as it can: its znodes are of some moment, all others are as they are.
    let mut storm = tree("storm").start();
    storm.until("storm");
    let start = Instant::now();
    let first = backup(&real);
    println!("a backup under a writer took {:?}: {first}", start.elapsed());
    assert_eq!(without_storm(&saved(&real, &first)), made);
    storm.signal("TERM");
    storm.wait().exits(0);

    let full = tree("read").run().exits(0).json();
    let last = backup(&real);
    assert_eq!(saved(&real, &last), full);
    let next = tree("next").run().exits(0).out;

    takes_one_on_schedule(&real, &full);

    tree("destroy").run().exits(0);
    assert_eq!(tree("read").run().exits(0).json(), serde_json::json!({}));
    refuses_a_damaged_one(&real, &last);
    let start = Instant::now();
    real.zkprov(&format!("restore {last} --to kept")).run().exits(0).says(&["equal to the backup"]);
    println!("a restore of {} znodes took {:?}", full.as_object().unwrap().len(), start.elapsed());
    assert_eq!(tree("read").run().exits(0).json(), full, "every znode, ACL and byte");
    assert_eq!(tree("next").run().exits(0).out, next, "the sequence goes on where it was");

    // Over what is there, only by its name; then the storm of the first backup's moment is back.
    real.zkprov(&format!("restore {first} --to kept")).run().exits(64);
    real.zkprov(&format!("restore {first} --to kept --confirm exhibitor")).run().exits(0);
    assert_eq!(tree("read").run().exits(0).json(), saved(&real, &first));
}

/// In a pod of the image, as its own user, with its own rights, on the file server's share.
fn takes_one_on_schedule(real: &Real, full: &Value) {
    let archive = image("build.sh", &[IMAGE, env!("CARGO_BIN_EXE_zkprov")]);
    println!("{}", image("test.sh", &[&archive]));
    real.import(&archive);
    // The real server makes everybody the share's owner. This directory has one of its own, and lets everybody.
    fs::set_permissions(real.share(), Permissions::from_mode(0o777)).unwrap();

    let set = format!("spec.exhibitor.backup={{schedule: \"0 0 1 1 *\", keep: 1, image: \"{IMAGE}\"}}");
    let scheduled = |line: &str| real.zkprov(line).args(["--set", &set]);
    scheduled("apply --yes").run().exits(0).says(&["5 to create"]);
    let start = Instant::now();
    let first = scheduled("backup --to fileServer").run().exits(0);
    println!("a backup in a pod took {:?}:\n{first}", start.elapsed());
    scheduled("backup --to fileServer").run().exits(0).says(&["deleted exhibitor-"]);

    let place = real.share().join("backups/exhibitor");
    let verified = real.zkprov(&format!("backup verify --to {}", place.display())).run().exits(0);
    let names: Vec<&str> =
        verified.out.lines().filter_map(|line| line.split_once("  whole: ")).map(|(name, _)| name).collect();
    assert_eq!(names.len(), 1, "{verified}");
    assert_eq!(saved_in(&place.join(names[0])), *full);

    // Without its rights it fails, and says so to whoever waits for it.
    real.told("delete rolebinding exhibitor-backup");
    let refused = scheduled("backup --to fileServer").run().exits(1);
    println!("a backup without rights:\n{refused}");
    refused.says(&["cannot list resource"]).complains(&["failed: BackoffLimitExceeded"]);
    real.zkprov("apply --yes").run().exits(0).says(&["4 to delete"]);
}

/// What a script of the image prints.
fn image(script: &str, args: &[&str]) -> String {
    let path = root().join("images/zkprov").join(script);
    // With the user's own environment: caches are there.
    let output = Command::new(path).args(args).stderr(Stdio::inherit()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "images/zkprov/{script} failed: {said}");
    said.trim().to_owned()
}

/// Takes a backup; its name.
fn backup(real: &Real) -> String {
    let output = real.zkprov("backup --to kept").run().exits(0);
    output.out.trim().rsplit('/').next().unwrap().to_owned()
}

/// What a backup holds, in the form of what a client reads.
fn saved(real: &Real, name: &str) -> Value {
    saved_in(&real.bench.path("kept").join(name))
}

fn saved_in(folder: &Path) -> Value {
    let (_, contents) = Folder::read(folder).unwrap();
    let mut tree = serde_json::Map::new();
    for line in contents.lines() {
        let line: Value = serde_json::from_str(&line).unwrap();
        let path = line["path"].as_str().unwrap();
        if path != "/" && !path.starts_with("/zookeeper") {
            let shown = serde_json::json!({ "data": line["data"], "acl": line["acl"] });
            tree.insert(path.to_owned(), shown);
        }
    }
    Value::Object(tree)
}

fn without_storm(tree: &Value) -> Value {
    let others = tree.as_object().unwrap().iter().filter(|(path, _)| !path.starts_with("/storm"));
    others.map(|(path, node)| (path.clone(), node.clone())).collect()
}

fn refuses_a_damaged_one(real: &Real, name: &str) {
    let (whole, cut) = (real.bench.path("kept").join(name), real.bench.path("cut"));
    fs::create_dir(&cut).unwrap();
    fs::copy(whole.join("manifest.json"), cut.join("manifest.json")).unwrap();
    let bytes = fs::read(whole.join("znodes.jsonl.gz")).unwrap();
    fs::write(cut.join("znodes.jsonl.gz"), &bytes[..bytes.len() / 2]).unwrap();
    let refused = real.zkprov("restore cut --to kept").run().exits(1);
    refused.complains(&["znodes.jsonl.gz is not what the manifest says"]);
}
