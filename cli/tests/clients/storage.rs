//! Google's own client of Cloud Storage beside zkprov, on one bucket.

use super::Cloud;
use std::path::PathBuf;
use std::process::Command;
use zkprov_tests::{Output, root};

/// A Python that has the client.
fn python() -> PathBuf {
    let output = Command::new(root().join("tests/install/storage-client.sh")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

#[test]
fn googles_client_of_cloud_storage_and_zkprov_read_each_others_backups() {
    let cloud = Cloud::new();
    let python = python();
    let script = root().join("cli/tests/clients/storage.py");
    let client =
        |args: &str| cloud.program(&python).args([&script]).args(args.split_whitespace()).run().exits(0);
    let zkprov =
        |line: &str| -> Output { cloud.zkprov(line).args(["--to", "gs://backups/zk"]).run().exits(0) };
    client("create").says(&["['backups']"]);
    let taken = zkprov("backup");
    let name = taken.out.trim().strip_prefix("gs://backups/zk/").unwrap();
    client(&format!("copy {name}")).says(&[
        "zk/copied/manifest.json application/json True",
        "zk/copied/znodes.jsonl.gz application/gzip True",
    ]);
    let verified = zkprov("backup verify");
    verified.says(&["copied  whole: exhibitor as of 0x", &format!("{name}  whole: exhibitor as of 0x")]);
    let left = format!("['zk/{name}/manifest.json', 'zk/{name}/znodes.jsonl.gz']");
    client("delete").says(&[&left]);
}
