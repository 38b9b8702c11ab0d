//! The two servers, reached in the same way: by curl and kubectl, with the same token.

use super::compare::{normal, reached};
use super::session::Exchange;
use crate::rig::Rig;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zkprov_tests::{Bench, Output, Patience, Served};

/// The rig knows it as an administrator's, the embedded cloud takes any.
const TOKEN: &str = "anonymous";
/// A cluster of the embedded cloud, as many nodes as a rig acts out.
const CREATE: &str = r#"
set -euo pipefail
clusters=${CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER}v1/projects/my-project/locations/us-east1-d/clusters
curl -fsS -H 'Content-Type: application/json' "$clusters" \
  -d '{"cluster": {"name": "cluster-1", "initialNodeCount": 3}}' >&2
while :; do
  cluster=$(curl -fsS "$clusters/cluster-1")
  if [[ $cluster == *'"RUNNING"'* || $cluster == *'"ERROR"'* ]]; then break; fi
  sleep 0.1
done
echo "$cluster"
"#;

/// An API server, and what the session remembers of its answers.
pub(crate) struct Server<'r> {
    name: &'static str,
    /// `https://HOST:PORT`
    url: String,
    ca: PathBuf,
    rig: &'r Rig,
    kept: BTreeMap<String, String>,
    _served: Option<Served>,
}

impl<'r> Server<'r> {
    /// The rig's.
    pub(crate) fn real(rig: &'r Rig, bench: &Bench) -> Self {
        let url = format!("https://{}", rig.of("ZKPROV_RIG_API"));
        Self {
            name: "real",
            url,
            ca: rig.of("ZKPROV_RIG_CA").into(),
            rig,
            kept: BTreeMap::new(),
            _served: None,
        }
        .with_kubeconfig(bench)
    }

    /// That of a new cluster in the embedded cloud. The rig lends its kubectl.
    pub(crate) fn embedded(rig: &'r Rig, bench: &Bench) -> Self {
        let served = bench.serve();
        let cluster = served.to(bench.program("bash")).args(["-c", CREATE]).run().exits(0).json();
        let certificate = cluster["masterAuth"]["clusterCaCertificate"].as_str().unwrap();
        let ca = bench.path("embedded.crt");
        std::fs::write(bench.path("embedded.b64"), certificate).unwrap();
        let decoded = bench.program("base64").args(["-d", "embedded.b64"]).run().exits(0).out;
        std::fs::write(&ca, decoded).unwrap();
        let url = format!("https://{}", cluster["endpoint"].as_str().unwrap());
        Self { name: "embedded", url, ca, rig, kept: BTreeMap::new(), _served: Some(served) }
            .with_kubeconfig(bench)
    }

    fn with_kubeconfig(self, bench: &Bench) -> Self {
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "it",
            "clusters": [{"name": "it", "cluster": {"server": self.url, "certificate-authority": self.ca}}],
            "users": [{"name": "it", "user": {"token": TOKEN}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
        });
        std::fs::write(self.kubeconfig(bench), config.to_string()).unwrap();
        self
    }

    fn kubeconfig(&self, bench: &Bench) -> PathBuf {
        bench.path(&format!("{}.kubeconfig", self.name))
    }

    /// What the server answers in the end, comparable with another server's answer.
    ///
    /// # Panics
    /// When what the exchange waits for does not come.
    pub(crate) fn answer(&mut self, bench: &Bench, exchange: &Exchange) -> Value {
        let mut patience = Patience::default();
        loop {
            let raw = if exchange.kubectl.is_empty() {
                self.send(bench, exchange)
            } else {
                let words = self.filled(&exchange.kubectl);
                let config = self.kubeconfig(bench);
                let kubectl = self.rig.program(bench, "kubectl").args([Path::new("--kubeconfig"), &config]);
                told(&kubectl.args(words.split_whitespace()).run())
            };
            let answer = normal(&raw);
            if !reached(&answer, &exchange.until) {
                patience.sees(answer.to_string());
                let (server, name, until) = (self.name, &exchange.name, &exchange.until);
                assert!(
                    !patience.is_over(),
                    "{server}, {name}: waited in vain for {until:?}; nothing moves any more:\n{answer:#}"
                );
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
            for (name, pointer) in &exchange.keep {
                // What is missing shows in the comparison of this answer, and fails those after it.
                let value = raw.pointer(pointer).and_then(Value::as_str).unwrap_or("absent");
                self.kept.insert(name.clone(), value.to_owned());
            }
            return answer;
        }
    }

    /// A text with what was kept in place of `${NAME}`.
    fn filled(&self, text: &str) -> String {
        let fill =
            |text: String, (name, value): (&String, &String)| text.replace(&format!("${{{name}}}"), value);
        let filled = self.kept.iter().fold(text.to_owned(), fill);
        // A shell's `${NAME:-default}` is not ours to fill.
        let mut left = filled.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0));
        let unfilled = left.find(|name| name.chars().all(char::is_alphanumeric));
        assert_eq!(unfilled, None, "{}: nothing was kept for {filled}", self.name);
        filled
    }

    fn send(&self, bench: &Bench, exchange: &Exchange) -> Value {
        let call = self.filled(&exchange.call);
        let (method, path) = call.split_once(' ').unwrap();
        let form = match exchange.patch.as_str() {
            "" => "application/json",
            "apply" => "application/apply-patch+yaml",
            "merge" => "application/merge-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            "json" => "application/json-patch+json",
            other => panic!("{}: no type {other}", exchange.name),
        };
        let accept = if exchange.accept.is_empty() { "application/json" } else { &exchange.accept };
        let mut curl = bench
            .program("curl")
            .args(["-sSi", "--http1.1", "--globoff", "--max-time", "600", "-X", method])
            .args([Path::new("--cacert"), &self.ca])
            .args(["-H", &format!("Authorization: Bearer {TOKEN}"), "-H", &format!("Accept: {accept}")])
            .args([format!("{}{path}", self.url)]);
        if !exchange.body.is_null() {
            let body = self.filled(&exchange.body.to_string());
            curl = curl.args(["-H", &format!("Content-Type: {form}"), "--data-binary", &body]);
        }
        answered(&curl.run().exits(0).out)
    }
}

/// Status, warnings and body of an answer as curl prints it.
fn answered(text: &str) -> Value {
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let code: u16 = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let mut answer = json!({"code": code});
    let headers = lines.filter_map(|line| line.split_once(": "));
    let of = |wanted: &str| {
        let values = headers.clone().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        values.map(|(_, value)| value.to_owned()).collect::<Vec<String>>()
    };
    for header in ["content-type", "warning", "retry-after"] {
        let values = of(header);
        if !values.is_empty() {
            answer[header] = json!(values);
        }
    }
    answer["body"] = serde_json::from_str(body).unwrap_or_else(|_| lines_of(body));
    answer
}

/// Exit status and output of a kubectl.
fn told(output: &Output) -> Value {
    let out = serde_json::from_str(&output.out).unwrap_or_else(|_| lines_of(&output.out));
    json!({"exit": output.status, "out": out, "err": lines_of(&output.err)})
}

/// JSON line by line, as a watch sends it, or plain lines.
fn lines_of(text: &str) -> Value {
    let line = |line: &str| serde_json::from_str(line).unwrap_or_else(|_| json!(line));
    text.lines().map(line).collect()
}
