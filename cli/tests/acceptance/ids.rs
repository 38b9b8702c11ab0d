//! Server ids only grow, and end at 255: low ones come back before that.

use super::bench;
use super::world::{change, of_pods, pods};
use serde_json::Value;
use zkprov_plans::exhibitor::{RENUMBER_ABOVE, compose, fixed_size, parse_config_state};
use zkprov_tests::Bench;

fn ids(bench: &Bench) -> Vec<u32> {
    let status = bench.tutorial("status --format json").run().json();
    let members = status["members"].as_array().unwrap().iter();
    let mut ids: Vec<u32> = members.filter_map(|one| u32::try_from(one["id"].as_u64()?).ok()).collect();
    ids.sort_unstable();
    ids
}

/// Makes the ensemble look as after many replaced members: all restart by themselves, unless they are held.
fn raise_ids(bench: &Bench, by: u32, held: bool) {
    let pods = pods(bench);
    let pod = pods[0].0.clone();
    change(bench, |world| {
        for (pod, _) in pods.iter().filter(|_| held) {
            let switch = format!("GET {pod}:8181/proxy/exhibitor/v1/cluster/set/restarts/false");
            of_pods(world, &switch, &Value::Null);
        }
        let exhibitor = format!("{pod}:8181/proxy/exhibitor/v1");
        let state = of_pods(world, &format!("GET {exhibitor}/config/get-state"), &Value::Null);
        let state = parse_config_state(&state).unwrap();
        let mut servers = state.servers.clone();
        for server in &mut servers {
            server.id += by;
        }
        let fixed_size = fixed_size(&state.config);
        let body = compose(&state.config, &Value::Null, &servers, fixed_size).unwrap();
        let taken = of_pods(world, &format!("POST {exhibitor}/config/set"), &body);
        assert_eq!(taken["succeeded"], true, "{taken}");
        // All read it within 30 s, and restart.
        let then = world.now + 90_000;
        world.advance_to(then);
    });
}

#[test]
fn low_ids_come_back_before_they_run_out() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    raise_ids(&bench, RENUMBER_ABOVE, false);
    assert_eq!(ids(&bench), [201, 202, 203]);
    let offered = bench.tutorial("plan").run().exits(0);
    offered.says(&["no changes", "ids are used up to 203, and end at 255", "zkprov apply --compact-ids"]);
    bench
        .tutorial("plan --compact-ids --set spec.exhibitor.heap=300MiB")
        .run()
        .exits(3)
        .says(&["something else of theirs differs from the file"]);

    let line = "plan --compact-ids --detailed-exitcode --out ids.plan";
    bench
        .tutorial(line)
        .run()
        .exits(2)
        .says(&["ids: [201,202,203] -> [1,2,3]", "all members restart together"]);
    bench.sandbox("apply ids.plan").run().exits(0);
    assert_eq!(ids(&bench), [1, 2, 3]);
    for line in ["plan --detailed-exitcode", "plan --detailed-exitcode --compact-ids"] {
        let rested = bench.tutorial(line).run().exits(0).says(&["no changes"]);
        assert!(!rested.out.contains("ids are used up"), "{rested}");
    }
}

#[test]
fn members_that_are_held_while_their_ids_change_restart_together() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    raise_ids(&bench, 10, true);
    bench.tutorial("plan").run().exits(0).says(&["a roll was cut off before it came to"]);
    let applied = bench.tutorial("apply --yes --format jsonl").run().exits(0);
    applied.says(&["together: their ids have changed"]);
    assert_eq!(ids(&bench), [11, 12, 13]);
    bench.tutorial("status --check").run().exits(0);
    bench.tutorial("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);
}
