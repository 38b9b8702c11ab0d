//! What befalls an ensemble from outside: the stored embedded cloud is looked at and changed, between two runs and beside one.

use serde_json::{Value, json};
use zkprov_sandbox::api::{Endpoints, Request, Service};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::server::{self, Clock, Options, Running, State};
use zkprov_sandbox::world::World;
use zkprov_tests::Bench;

/// Takes a turn at the stored world, as one more process that serves it.
fn turn<T>(bench: &Bench, act: impl FnOnce(&Running) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // Of its own accord no time goes by in it.
        let options =
            Options { state: State::Dir(bench.cloud()), clock: Clock::Instant, ..Options::default() };
        let running = server::start(options).await.unwrap();
        let done = act(&running);
        running.stop().await;
        done
    })
}

/// The stored world as it is now.
pub(crate) fn look(bench: &Bench) -> World {
    turn(bench, |running| running.world().unwrap())
}

/// Lets `act` at the stored world. Nobody else may change it meanwhile.
pub(crate) fn change(bench: &Bench, act: impl FnOnce(&mut World)) {
    turn(bench, |running| {
        let mut world = running.world().unwrap();
        act(&mut world);
        running.restore(world).unwrap();
    });
}

/// Lets `act` at the stored world as JSON. Nobody else may change it meanwhile.
pub(crate) fn change_json(bench: &Bench, act: impl FnOnce(&mut Value)) {
    change(bench, |world| {
        let mut json = serde_json::to_value(&*world).unwrap();
        act(&mut json);
        *world = serde_json::from_value(json).unwrap();
    });
}

/// Dates the heartbeat of the only lock. A run that is dead lost its lock a minute after that, by the wall clock.
fn date_the_lock(bench: &Bench, time: &str) {
    change(bench, |world| {
        let leases = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
        let list = call(world, &format!("GET {leases}"), &Value::Null);
        let [lease] = &list["items"].as_array().unwrap()[..] else { panic!("{list:#}") };
        let mut lease = lease.clone();
        lease["spec"]["renewTime"] = json!(time);
        let name = lease["metadata"]["name"].as_str().unwrap().to_owned();
        let dated = call(world, &format!("PUT {leases}/{name}"), &lease);
        assert_eq!(dated["spec"]["renewTime"], time, "{dated:#}");
    });
}

/// As if the run that holds the lock had died more than a minute ago.
pub(crate) fn let_the_lock_expire(bench: &Bench) {
    date_the_lock(bench, "2020-01-01T00:00:00.000000Z");
}

/// As if the run that holds the lock were alive and well, however long a busy machine keeps its next heartbeat back.
pub(crate) fn let_the_lock_hold(bench: &Bench) {
    date_the_lock(bench, "2100-01-01T00:00:00.000000Z");
}

/// One call of the only cluster's API about pods: `line` is `METHOD PATH?QUERY`, the path below the pods of the namespace.
pub(crate) fn of_pods(world: &mut World, line: &str, body: &Value) -> Value {
    let (method, path) = line.split_once(' ').unwrap();
    call(world, &format!("{method} /api/v1/namespaces/default/pods/{path}"), body)
}

/// One call of the only cluster's API: `line` is `METHOD PATH?QUERY`.
fn call(world: &mut World, line: &str, body: &Value) -> Value {
    let cluster = world.kubernetes.keys().next().unwrap().clone();
    let (method, path) = line.split_once(' ').unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let request = Request {
        service: Service::Kubernetes(cluster),
        method: method.to_owned(),
        path: path.to_owned(),
        query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
    };
    let now = world.now;
    loop {
        match world.handle(&request, now, &Endpoints::default()) {
            Answer::Done(response) => return serde_json::from_slice(&response.body).unwrap(),
            // Exhibitor holds its lock for 5 s.
            Answer::Later => world.advance_to(world.now + 1_000),
            other @ (Answer::Watch(_) | Answer::Stream(_)) => panic!("{line}: {other:?}"),
        }
    }
}

/// Names and addresses of the members' pods, by name.
pub(crate) fn pods(bench: &Bench) -> Vec<(String, String)> {
    let status = bench.tutorial("status --format json").run().json();
    let pods = status["pods"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pods.map(|pod| (text(&pod["name"]), text(&pod["ip"]))).collect()
}
