//! `cluster/*`: states, control of ZooKeeper, four-letter words, here or at another host.

use super::{document, empty, json_text, ok, result};
use crate::api::{Answer, Context, Request, Response, Time};
use crate::config::{CLIENT_PORT, url_encode};
use crate::member::Member;
use crate::{Share, timing};
use serde_json::{Value, json};

/// Where a request for another host ends.
enum Remote {
    Here,
    There,
    Fails { message: String, after: Time },
}

impl Share {
    pub(super) fn cluster(
        &mut self,
        address: &str,
        rest: &[&str],
        request: &Request,
        context: &Context<'_>,
    ) -> Answer {
        match rest {
            ["status"] => self.status(address, context),
            ["list"] => self.list(address, request).into(),
            ["set", kind, value, host] => self.remote(address, host, &["set", kind, value], context),
            ["set", ..] => self.local(address, rest, context),
            ["4ltr", word, host] => self.remote(address, host, &["4ltr", word], context),
            ["4ltr", ..] => self.local(address, rest, context),
            [verb, host] => self.remote(address, host, &[verb], context),
            _ => self.local(address, rest, context),
        }
    }

    fn status(&mut self, address: &str, context: &Context<'_>) -> Answer {
        let servers = self.members.get(address).map(Member::servers).cloned().unwrap_or_default();
        let slowest =
            servers.0.iter().map(|server| self.reach_delay(address, &server.host)).max().unwrap_or(0);
        if !self.waited(slowest, context) {
            return Answer::Later;
        }
        let entry = |status: crate::automanage::Status| {
            json!({
                "code": status.state.code(),
                "description": status.state.description(),
                "hostname": status.host,
                "isLeader": status.leader,
            })
        };
        let statuses: Vec<Value> = self.statuses(address).into_iter().map(entry).collect();
        document(&Value::from(statuses)).into()
    }

    fn list(&self, address: &str, request: &Request) -> Response {
        let Some(member) = self.members.get(address) else { return empty(404) };
        let (servers, port) = (member.servers(), member.int(&CLIENT_PORT));
        let accept = request.header("accept").unwrap_or("*/*");
        let accepts =
            |kind: &str| accept.split(',').any(|item| item.split(';').next().map(str::trim) == Some(kind));
        if accepts("application/json") || accepts("*/*") || accepts("application/*") {
            let hosts: Vec<&str> = servers.0.iter().map(|server| server.host.as_str()).collect();
            return document(&json!({ "servers": hosts, "port": port }));
        }
        if !accepts("application/x-www-form-urlencoded") {
            return empty(406);
        }
        let hosts = servers.0.iter().enumerate();
        let hosts: String =
            hosts.map(|(at, server)| format!("&server{at}={}", url_encode(&server.host))).collect();
        let mut response = json_text(format!("count={}{hosts}&port={port}", servers.0.len()));
        for (name, value) in &mut response.headers {
            if name == "content-type" {
                "application/x-www-form-urlencoded".clone_into(value);
            }
        }
        response
    }

    /// Carries out a command at this instance. The answer's body is JSON.
    fn local(&mut self, address: &str, command: &[&str], context: &Context<'_>) -> Answer {
        let hung = self.members.get(address).is_some_and(|member| member.hung.is_some());
        if hung && command.first() == Some(&"4ltr") && !self.waited(timing::HUNG_WORD_MS, context) {
            return Answer::Later;
        }
        let body = match command {
            ["4ltr", word] => Value::from(self.word(address, word, context.now)),
            [verb] => self.control(address, verb, context.now),
            ["set", kind, value] => self.set_switch(address, kind, value),
            _ => Value::Null,
        };
        document(&body).into()
    }

    fn control(&mut self, address: &str, verb: &str, now: Time) -> Value {
        let Some(member) = self.members.get_mut(address) else { return Value::Null };
        match verb {
            "state" => return state(member),
            "log" => return Value::from(activity_log(member)),
            "restart" => member.kill(now, true),
            "stop" => member.kill(now, false),
            // Starting what runs does nothing.
            _ if member.process.is_stopped() => member.start_process(now),
            _ => {}
        }
        ok()
    }

    fn set_switch(&mut self, address: &str, kind: &str, value: &str) -> Value {
        let Some(member) = self.members.get_mut(address) else { return Value::Null };
        let switch = match kind.to_ascii_lowercase().as_str() {
            "restarts" => &mut member.switches.restarts,
            "cleanup" => &mut member.switches.cleanup,
            "backups" => &mut member.switches.backups,
            _ => return result("Not found", false),
        };
        // Anything but `true` is false, as in Java.
        *switch = value.eq_ignore_ascii_case("true");
        ok()
    }

    /// Carries out a command at another host, which need not be a member of anything.
    fn remote(&mut self, address: &str, host: &str, command: &[&str], context: &Context<'_>) -> Answer {
        // What answers with text comes back as a string that holds JSON.
        let nested = matches!(command.first(), Some(&"4ltr" | &"log"));
        match self.locate(address, host) {
            Remote::Fails { message, after } => {
                if !self.waited(after, context) {
                    return Answer::Later;
                }
                let response = if nested { Value::from("{}") } else { json!({}) };
                document(&json!({ "response": response, "errorMessage": message, "success": false })).into()
            }
            found @ (Remote::Here | Remote::There) => {
                let target = if matches!(found, Remote::Here) { address } else { host };
                match self.local(target, command, context) {
                    Answer::Done(response) => wrap(&response, nested).into(),
                    Answer::Later => Answer::Later,
                }
            }
        }
    }

    fn locate(&self, address: &str, host: &str) -> Remote {
        if host == "localhost" || host == address {
            return Remote::Here;
        }
        let after = self.reach_delay(address, host);
        let fails = |message: &str| Remote::Fails { message: message.to_owned(), after };
        if self.swallows(address, host) {
            return fails("java.net.SocketTimeoutException: Connect timed out");
        }
        match self.members.get(host) {
            Some(member) if member.answers() => Remote::There,
            Some(_) => fails("Connection refused"),
            None if host.parse::<std::net::IpAddr>().is_ok() => fails("No route to host"),
            None => fails(&format!("java.net.UnknownHostException: {host}")),
        }
    }

    /// How long it takes to find out about a host, ms.
    fn reach_delay(&self, address: &str, host: &str) -> Time {
        if self.swallows(address, host) {
            timing::BLACK_HOLE_MS
        } else if self.members.contains_key(host) || host.parse::<std::net::IpAddr>().is_err() {
            0
        } else {
            timing::NO_ROUTE_MS
        }
    }
}

fn wrap(response: &Response, nested: bool) -> Response {
    let text = String::from_utf8_lossy(&response.body).into_owned();
    let inner =
        if nested { Value::from(text) } else { serde_json::from_str(&text).unwrap_or_else(|_| json!({})) };
    document(&json!({ "response": inner, "errorMessage": "", "success": true }))
}

fn state(member: &Member) -> Value {
    let switches = member.switches;
    json!({
        "switches": { "restarts": switches.restarts, "cleanup": switches.cleanup, "backups": switches.backups },
        "state": member.state().code(),
        "description": member.state().description(),
        "isLeader": member.leader,
    })
}

/// The activity log, newest line first.
pub(super) fn activity_log(member: &Member) -> String {
    member.log.values().rev().map(|line| format!("{line}\n")).collect()
}
