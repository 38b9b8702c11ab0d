//! A start-up script of the file server that fails: the apply fails, in the script's own words, and can be taken up again.

use super::bench;
use super::world::change_json;
use serde_json::json;
use zkprov_tests::Bench;

/// Lets the next runs of the VM's start-up script fail, or no longer.
fn let_the_script_fail(bench: &Bench, fails: bool) {
    change_json(bench, |world| {
        let resources = world["compute"]["resources"].as_object_mut().unwrap();
        let (_, vm) =
            resources.iter_mut().find(|(path, _)| path.ends_with("instances/singlefs-1-vm")).unwrap();
        let items = vm["metadata"]["items"].as_array_mut().unwrap();
        items.retain(|item| item["key"] != "sandbox-startup-script");
        if fails {
            items.push(json!({"key": "sandbox-startup-script", "value": "fail"}));
        }
    });
}

#[test]
fn a_start_up_script_that_fails_fails_the_apply_in_its_own_words() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let_the_script_fail(&bench, true);
    // Another script: the VM runs it at once.
    let without_smb = "apply --yes --set spec.fileServer.singleNode.smb=false";
    bench.tutorial(without_smb).run().exits(5).complains(&[
        "start-up script",
        "its last lines:",
        "step=packages reason=E: Unable to locate package nfs-kernel-server",
        "get-serial-port-output",
    ]);
    let_the_script_fail(&bench, false);
    // The script is what it is to be: what failed is its run, and a restart runs it again.
    bench.tutorial("apply --yes").run().exits(0);
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}
