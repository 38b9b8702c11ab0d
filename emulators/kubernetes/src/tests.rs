//! The API as its clients see it, by requests alone.

use super::{Cluster, WatchCursor};
use crate::answer::Answer;
use crate::api::{Context, Endpoints, Request, Response, Service, Time};
use crate::ids::Ids;
use crate::views::{ClusterView, Export, Node, PolicyEngine, share_name};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use zkprov_emulator_exhibitor::Shares;

mod images;
mod network;
mod others;
mod requests;
mod volumes;
mod workloads;

const NETWORK: &str = "projects/p/global/networks/default";

/// A cluster with a clock.
struct Bench {
    cluster: Cluster,
    shares: Shares,
    ids: Ids,
    now: Time,
    exports: Vec<Export>,
}

fn node(name: &str) -> Node {
    Node {
        name: name.to_owned(),
        project: "p".to_owned(),
        zone: "us-east1-d".to_owned(),
        ip: "10.142.0.2".to_owned(),
        machine_type: "e2-medium".to_owned(),
        tags: Vec::new(),
        group: "g".to_owned(),
        labels: BTreeMap::new(),
        draining: None,
        version: String::new(),
    }
}

impl Bench {
    fn new(nodes: usize) -> Self {
        Self::enforcing(PolicyEngine::None, nodes)
    }

    fn enforcing(policies: PolicyEngine, nodes: usize) -> Self {
        let nodes = (0..nodes).map(|n| node(&format!("node-{n}"))).collect();
        let view = ClusterView {
            key: "p/z/c".to_owned(),
            version: "1.33.5-gke.100".to_owned(),
            network: NETWORK.to_owned(),
            pod_range: "10.8.0.0/14".to_owned(),
            nodes,
            policies,
            autopilot: None,
        };
        let now = 1_767_225_600_000;
        Self {
            cluster: Cluster::new(&view, now),
            shares: Shares::default(),
            ids: Ids::new(7),
            now,
            exports: Vec::new(),
        }
    }

    fn send(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: &Value) -> Answer {
        self.send_again(method, url, headers, body, self.now)
    }

    /// Hands a `GET` in once more that was first handed in at this time.
    fn again(&mut self, url: &str, arrived: Time) -> Answer {
        self.send_again("GET", url, &[], &Value::Null, arrived)
    }

    fn send_again(
        &mut self,
        method: &str,
        url: &str,
        headers: &[(&str, &str)],
        body: &Value,
        arrived: Time,
    ) -> Answer {
        let (path, query) = url.split_once('?').unwrap_or((url, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service: Service::Kubernetes("p/z/c".to_owned()),
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            headers: headers.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            body: if body.is_null() { Vec::new() } else { body.to_string().into_bytes() },
        };
        let endpoints = Endpoints::default();
        let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints: &endpoints };
        self.cluster.handle(&request, &mut self.shares, &mut context)
    }

    fn raw(&mut self, method: &str, url: &str, headers: &[(&str, &str)], body: &Value) -> Response {
        match self.send(method, url, headers, body) {
            Answer::Done(response) => response,
            Answer::Later | Answer::Watch(_) | Answer::Stream(_) => panic!("{method} {url}"),
        }
    }

    fn call(&mut self, method: &str, url: &str, body: &Value) -> (u16, Value) {
        let patch = match method {
            "APPLY" => "application/apply-patch+yaml",
            "MERGE" => "application/merge-patch+json",
            "STRATEGIC" => "application/strategic-merge-patch+json",
            "JSON" => "application/json-patch+json",
            _ => "application/json",
        };
        let verb = if patch == "application/json" { method } else { "PATCH" };
        let response = self.raw(verb, url, &[("content-type", patch), ("user-agent", "test/1")], body);
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    fn get(&mut self, url: &str) -> Value {
        let (code, body) = self.call("GET", url, &Value::Null);
        assert_eq!(code, 200, "{url}: {body}");
        body
    }

    fn watch(&mut self, url: &str) -> WatchCursor {
        match self.send("GET", url, &[], &Value::Null) {
            Answer::Watch(cursor) => cursor,
            Answer::Done(_) | Answer::Later | Answer::Stream(_) => panic!("{url}"),
        }
    }

    fn poll(&self, cursor: &mut WatchCursor) -> (Vec<Value>, bool) {
        let (lines, ended) = self.cluster.watch(cursor, self.now);
        let lines = String::from_utf8(lines).unwrap();
        (lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect(), ended)
    }

    /// Lets this many milliseconds go by, event by event.
    fn pass(&mut self, milliseconds: Time) {
        let target = self.now + milliseconds;
        loop {
            let next =
                [self.cluster.next_event(&self.shares), self.shares.next_event()].into_iter().flatten().min();
            self.now = next.unwrap_or(target).clamp(self.now, target);
            self.cluster.advance(self.now, &mut self.ids, &mut self.shares, &self.exports);
            self.shares.advance(self.now, &mut self.ids);
            if self.now == target && self.cluster.next_event(&self.shares).is_none_or(|next| next > target) {
                return;
            }
        }
    }
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

fn deployment(name: &str, replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1", "ports": [{"containerPort": 80}]}]}}}})
}
