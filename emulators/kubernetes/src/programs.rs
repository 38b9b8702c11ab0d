//! Programs that connect to other pods, run in a container: `nc`, as far as it shows what a connection comes to.
//!
//! `nc [-z] [-v] [-w SECONDS] HOST PORT`, and `sh -c 'echo WORD | nc ... HOST PORT'`, which prints what ZooKeeper answers to
//! a four-letter word. Words are those of BusyBox.

use super::kind::Kind;
use super::network::Network;
use super::proxy;
use super::tree::{self, int, items, namespace, text};
use crate::api::Time;
use crate::containers::{Containers, Exit};
use serde_json::Value;

/// Runs a program in a pod, if it is one of these.
pub(super) fn run(
    network: Network<'_>,
    pod: &Value,
    command: &[String],
    shares: &dyn Containers,
    now: Time,
) -> Option<Exit> {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let (word, arguments) = match words.as_slice() {
        ["nc", arguments @ ..] => (None, arguments.to_vec()),
        ["sh" | "bash", "-c", script] => {
            let (said, rest) = script.split_once('|')?;
            let said = said.trim().strip_prefix("echo ")?.trim();
            let mut rest = rest.split_whitespace();
            (rest.next() == Some("nc")).then(|| (Some(said), rest.collect::<Vec<_>>()))?
        }
        _ => return None,
    };
    Some(match Call::parse(&arguments) {
        Ok(call) => call.run(network, pod, word, shares, now),
        Err(why) => failed(&why),
    })
}

fn failed(why: &str) -> Exit {
    Exit::failed(1, format!("nc: {why}\n"))
}

/// What `nc` is asked for.
#[derive(Debug, PartialEq, Eq)]
struct Call<'a> {
    /// Say what came of it.
    verbose: bool,
    /// Only connect.
    scan: bool,
    host: &'a str,
    port: u16,
}

impl<'a> Call<'a> {
    fn parse(arguments: &[&'a str]) -> Result<Self, String> {
        let (mut verbose, mut scan, mut rest) = (false, false, Vec::new());
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            match word.strip_prefix('-') {
                Some("w") => drop(words.next()),
                Some(flags) => {
                    if let Some(other) = flags.chars().find(|flag| !"zvn".contains(*flag)) {
                        return Err(format!("invalid option -- '{other}'"));
                    }
                    (verbose, scan) = (verbose || flags.contains('v'), scan || flags.contains('z'));
                }
                None => rest.push(*word),
            }
        }
        let [host, port] = rest.as_slice() else { return Err("no host or port".to_owned()) };
        let port = port.parse().map_err(|_| format!("bad port '{port}'"))?;
        Ok(Self { verbose, scan, host, port })
    }

    fn run(
        &self,
        network: Network<'_>,
        from: &Value,
        word: Option<&str>,
        shares: &dyn Containers,
        now: Time,
    ) -> Exit {
        let Self { host, port, .. } = self;
        let Some((to, inner)) = destination(network, from, host, *port, now) else {
            return failed(&format!("bad address '{host}'"));
        };
        let address = text(to, "/status/podIP").unwrap_or_default();
        if !network.between(from, to).has(inner) {
            return failed(&format!("{host} ({address}:{port}): Connection timed out"));
        }
        let listens = u16::try_from(inner).is_ok_and(|inner| listens(to, address, inner, shares, now));
        if !listens {
            return failed(&format!("{host} ({address}:{port}): Connection refused"));
        }
        let answer = word.filter(|_| !self.scan).and_then(|word| shares.ask(address, inner, word, now));
        let stderr = if self.verbose { format!("{host} ({address}:{port}) open\n") } else { String::new() };
        Exit { stdout: answer.unwrap_or_default().into_bytes(), stderr, code: 0 }
    }
}

/// Whether a pod listens on a port: Exhibitor and ZooKeeper where they really do, other programs where their container
/// says so.
fn listens(pod: &Value, address: &str, port: u16, shares: &dyn Containers, now: Time) -> bool {
    if let Some(listens) = shares.listens(address, port, now) {
        return listens;
    }
    let running = items(pod, "/status/containerStatuses").iter();
    let running = running.filter(|status| status.pointer("/state/running").is_some());
    let names: Vec<&str> = running.filter_map(|status| text(status, "/name")).collect();
    let containers = items(pod, "/spec/containers").iter();
    containers
        .filter(|container| text(container, "/name").is_some_and(|name| names.contains(&name)))
        .flat_map(|container| items(container, "/ports"))
        .any(|known| int(known, "/containerPort") == Some(i64::from(port)))
}

/// The pod that a host is, or that a Service picks, with the port there. Names are those that pods resolve.
fn destination<'s>(
    network: Network<'s>,
    from: &Value,
    host: &str,
    port: u16,
    now: Time,
) -> Option<(&'s Value, i64)> {
    let store = network.store;
    let mut pods = store.list(Kind::Pod, None);
    if let Some(pod) = pods.find(|pod| text(pod, "/status/podIP") == Some(host)) {
        return Some((pod, i64::from(port)));
    }
    let mut services = store.list(Kind::Service, None);
    let by_address = services.find(|service| text(service, "/spec/clusterIP") == Some(host));
    let short = host.trim_end_matches('.').trim_end_matches(".cluster.local").trim_end_matches(".svc");
    let (name, place) = match by_address {
        Some(service) => (tree::name(service), namespace(service)),
        None => short.split_once('.').unwrap_or((short, namespace(from))),
    };
    if store.get(Kind::Service, place, name).is_some() {
        return proxy::behind_service(store, place, name, &port.to_string(), now).ok();
    }
    // `POD.SERVICE[.NAMESPACE]` of a headless Service.
    let (_, place) = place.split_once('.').unwrap_or((place, namespace(from)));
    let pod = store.get(Kind::Pod, place, name).filter(|pod| text(pod, "/spec/hostname") == Some(name))?;
    text(pod, "/status/podIP").map(|_| (pod, i64::from(port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_those_of_nc() {
        let call = |words: &str| {
            Call::parse(&words.split(' ').collect::<Vec<_>>())
                .map(|call| (call.verbose, call.scan, call.port))
        };
        assert_eq!(call("-zv -w 2 exhibitor 2181"), Ok((true, true, 2181)));
        assert_eq!(call("10.8.0.4 8181"), Ok((false, false, 8181)));
        assert_eq!(call("-l 2181"), Err("invalid option -- 'l'".to_owned()));
        assert!(call("exhibitor").is_err() && call("exhibitor port").is_err());
    }
}
