//! A share with members, and a client that waits in virtual time.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use zkprov_sandbox::api::{Answer, Context, Endpoints, Request, Response, Service, Time};
use zkprov_sandbox::containers::ContainerStart;
use zkprov_sandbox::exhibitor::Shares;
use zkprov_sandbox::ids::Ids;

pub(crate) const SHARE: &str = "198.18.0.1:/data";
pub(crate) const START: Time = 1_795_418_000_000;

#[derive(Clone)]
pub(crate) struct Lab {
    pub(crate) shares: Shares,
    pub(crate) ids: Ids,
    pub(crate) now: Time,
    pub(crate) size: u32,
    pub(crate) env: BTreeMap<String, String>,
    /// Sent with every request that brings no other.
    pub(crate) authorization: Option<String>,
}

/// Address of the n-th member, counted from 1.
pub(crate) fn address(number: usize) -> String {
    format!("198.18.0.{}", 10 + number)
}

impl Lab {
    pub(crate) fn new(size: u32, env: &[(&str, &str)]) -> Self {
        Self::seeded(7, size, env)
    }

    pub(crate) fn seeded(seed: u64, size: u32, env: &[(&str, &str)]) -> Self {
        let env = env.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self { shares: Shares::default(), ids: Ids::new(seed), now: START, size, env, authorization: None }
    }

    /// A lab whose instances look at everything every second.
    pub(crate) fn fast(size: u32) -> Self {
        Self::new(size, &[("EXHIBITOR_CHECK_MS", "1000"), ("EXHIBITOR_CONFIG_CHECK_MS", "1000")])
    }

    /// A fast lab with an ensemble of this many members that serves.
    pub(crate) fn serving(members: usize) -> Self {
        let mut lab = Self::fast(u32::try_from(members).expect("few members"));
        for number in 1..=members {
            lab.start(number);
        }
        lab.await_port(members);
        lab.form(members, &[]);
        lab.until(60_000, |lab| lab.shares.healthy_voters(SHARE) == members);
        lab.advance(10_000);
        lab
    }

    pub(crate) fn start(&mut self, number: usize) {
        let member = ContainerStart {
            share: SHARE.to_owned(),
            address: address(number),
            hostname: address(number),
            volume: None,
            ensemble_size: self.size,
            env: self.env.clone(),
        };
        self.shares.start(member, self.now, &mut self.ids);
    }

    pub(crate) fn stop(&mut self, number: usize) {
        self.shares.stop(&address(number), self.now);
    }

    pub(crate) fn advance(&mut self, ms: Time) {
        self.now += ms;
        self.shares.advance(self.now, &mut self.ids);
    }

    /// Moves on, event by event, until the condition holds; returns how long it took.
    pub(crate) fn until(&mut self, at_most: Time, condition: impl Fn(&Self) -> bool) -> Time {
        let (began, limit) = (self.now, self.now + at_most);
        while !condition(self) {
            let next = self.shares.next_event().filter(|next| *next <= limit);
            let next = next.unwrap_or_else(|| panic!("not within {at_most} ms"));
            self.now = self.now.max(next);
            self.shares.advance(self.now, &mut self.ids);
        }
        self.now - began
    }

    pub(crate) fn await_port(&mut self, members: usize) {
        self.until(20_000, |lab| (1..=members).all(|number| lab.shares.answers(&address(number), lab.now)));
    }

    pub(crate) fn try_send(&mut self, number: usize, request: &Request) -> Option<Response> {
        let mut request = request.clone();
        if let Some(value) = self.authorization.as_ref().filter(|_| request.header("authorization").is_none())
        {
            request.headers.push(("authorization".to_owned(), value.clone()));
        }
        let (arrived, endpoints) = (self.now, Endpoints::default());
        loop {
            let mut context = Context { now: self.now, arrived, ids: &mut self.ids, endpoints: &endpoints };
            match self.shares.handle(&address(number), &request, &mut context)? {
                Answer::Done(response) => return Some(response),
                Answer::Later => {
                    let next = self.shares.next_event().expect("a request that waits is an event");
                    assert!(next > self.now, "time stands still at {}", self.now - START);
                    self.now = next;
                    self.shares.advance(self.now, &mut self.ids);
                }
            }
        }
    }

    /// Requests that arrive at the same time; answers in their order.
    pub(crate) fn send_together(&mut self, requests: &[(usize, Request)]) -> Vec<Response> {
        let (arrived, endpoints) = (self.now, Endpoints::default());
        let mut answers: Vec<Option<Response>> = vec![None; requests.len()];
        while answers.iter().any(Option::is_none) {
            for (answer, (number, request)) in
                answers.iter_mut().zip(requests).filter(|(answer, _)| answer.is_none())
            {
                let mut context =
                    Context { now: self.now, arrived, ids: &mut self.ids, endpoints: &endpoints };
                match self.shares.handle(&address(*number), request, &mut context).expect("nothing listens") {
                    Answer::Done(response) => *answer = Some(response),
                    Answer::Later => {}
                }
            }
            self.now = self.shares.next_event().unwrap_or(self.now).max(self.now);
            self.shares.advance(self.now, &mut self.ids);
        }
        answers.into_iter().flatten().collect()
    }

    pub(crate) fn send(&mut self, number: usize, request: &Request) -> Response {
        self.try_send(number, request).expect("nothing listens")
    }

    pub(crate) fn get(&mut self, number: usize, path: &str) -> Value {
        body(&self.send(number, &request("GET", path, b"")))
    }

    pub(crate) fn post(&mut self, number: usize, path: &str, document: &Value) -> Value {
        body(&self.send(number, &request("POST", path, document.to_string().as_bytes())))
    }

    /// The configuration as `config/set` wants it: numbers as strings, and with these changes.
    pub(crate) fn settings(&mut self, number: usize, changes: &[(&str, Value)]) -> Value {
        let mut config = self.get(number, "/exhibitor/v1/config/get-state")["config"].clone();
        let object = config.as_object_mut().expect("an object");
        for key in ["rollInProgress", "rollStatus", "rollPercentDone", "hostname", "serverId", "controlPanel"]
        {
            object.remove(key);
        }
        for (_, value) in object.iter_mut() {
            if let Value::Number(number) = value {
                *value = json!(number.to_string());
            }
        }
        for (key, value) in changes {
            object.insert((*key).to_owned(), value.clone());
        }
        config
    }

    pub(crate) fn set(&mut self, number: usize, changes: &[(&str, Value)]) -> Value {
        let settings = self.settings(number, changes);
        self.post(number, "/exhibitor/v1/config/set", &settings)
    }

    /// One `config/set` at the first member, with all members and the fixed size.
    pub(crate) fn form(&mut self, members: usize, changes: &[(&str, Value)]) {
        let mut all = vec![
            ("serversSpec", json!(spec(members))),
            ("autoManageInstancesFixedEnsembleSize", json!(members.to_string())),
        ];
        all.extend_from_slice(changes);
        assert_eq!(self.set(1, &all), json!({ "message": "OK", "succeeded": true }));
    }

    pub(crate) fn modes(&self, members: usize) -> Vec<Option<&'static str>> {
        (1..=members).map(|number| self.shares.mode(&address(number))).collect()
    }

    /// The number of the member that leads.
    pub(crate) fn leader(&self, members: usize) -> usize {
        self.modes(members).iter().position(|mode| *mode == Some("leader")).expect("a leader") + 1
    }

    pub(crate) fn status(&mut self, number: usize) -> Vec<(u64, bool)> {
        let status = self.get(number, "/exhibitor/v1/cluster/status");
        let entries = status.as_array().expect("a list");
        entries
            .iter()
            .map(|entry| {
                (entry["code"].as_u64().expect("a code"), entry["isLeader"].as_bool().expect("a flag"))
            })
            .collect()
    }
}

pub(crate) fn spec(members: usize) -> String {
    (1..=members).map(|number| format!("{number}:{}", address(number))).collect::<Vec<_>>().join(",")
}

pub(crate) fn request(method: &str, path_and_query: &str, body: &[u8]) -> Request {
    let (path, query) = path_and_query.split_once('?').unwrap_or((path_and_query, ""));
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    Request {
        service: Service::Kubernetes("p/z/c".to_owned()),
        method: method.to_owned(),
        path: path.to_owned(),
        query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        headers: Vec::new(),
        body: body.to_vec(),
    }
}

pub(crate) fn body(response: &Response) -> Value {
    if response.body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&response.body)))
}
