//! What befalls an ensemble from outside: changes of the stored embedded cloud between two runs.

use serde_json::Value;
use zkprov_sandbox::api::{Endpoints, Request, Service};
use zkprov_sandbox::kubernetes::Answer;
use zkprov_sandbox::server;
use zkprov_sandbox::world::World;
use zkprov_tests::Bench;

/// Lets `act` at the stored world.
pub(crate) fn change(bench: &Bench, act: impl FnOnce(&mut World)) {
    let mut world = server::read(&bench.cloud()).unwrap();
    act(&mut world);
    server::write(&bench.cloud(), world).unwrap();
}

/// The same, as JSON.
pub(crate) fn change_json(bench: &Bench, act: impl FnOnce(&mut Value)) {
    change(bench, |world| {
        let mut json = serde_json::to_value(&*world).unwrap();
        act(&mut json);
        *world = serde_json::from_value(json).unwrap();
    });
}

/// One call of the only cluster's API about pods: `call` is `METHOD PATH?QUERY`, the path below the pods of the namespace.
pub(crate) fn of_pods(world: &mut World, call: &str, body: &Value) -> Value {
    let cluster = world.kubernetes.keys().next().unwrap().clone();
    let (method, path) = call.split_once(' ').unwrap();
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let request = Request {
        service: Service::Kubernetes(cluster),
        method: method.to_owned(),
        path: format!("/api/v1/namespaces/default/pods/{path}"),
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
            other @ (Answer::Watch(_) | Answer::Stream(_)) => panic!("{call}: {other:?}"),
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
