//! ZooKeeper's four-letter words, as Exhibitor passes them on.

use crate::Share;
use crate::api::Time;
use crate::config::{CHECK_MS, DATA_DIRECTORY, LOG_DIRECTORY, decode_pairs};
use crate::member::{Member, Process};

const VERSION: &str = "3.4.6-1569965, built on 02/20/2014 09:09 GMT";
const NOT_SERVING: &str = "This ZooKeeper instance is not currently serving requests\n";
const LOCAL_CLIENT: &str = " /127.0.0.1:34424[0](queued=0,recved=1,sent=0)\n";

impl Share {
    /// What ZooKeeper answers to a word; empty when it does not answer.
    pub(crate) fn word(&self, address: &str, word: &str, now: Time) -> String {
        let word = word.to_ascii_lowercase();
        let known = ["stat", "ruok", "reqs", "dump", "conf", "cons", "srvr", "wchs", "wchc", "wchp", "mntr"];
        if !known.contains(&word.as_str()) {
            return "* unknown *".to_owned();
        }
        let Some(member) = self.members.get(address).filter(|member| member.asked_port_answers()) else {
            return String::new();
        };
        match (word.as_str(), member.mode()) {
            ("ruok", _) => "imok".to_owned(),
            // Not a command of ZooKeeper 3.4.
            ("reqs", _) => String::new(),
            (_, None) => NOT_SERVING.to_owned(),
            ("stat", Some(mode)) => {
                format!("Zookeeper version: {VERSION}\nClients:\n{LOCAL_CLIENT}\n{}", member.summary(mode, now))
            }
            ("srvr", Some(mode)) => format!("Zookeeper version: {VERSION}\n{}", member.summary(mode, now)),
            ("mntr", Some(mode)) => self.monitor(member, mode, now),
            ("conf", Some(_)) => member.configuration(),
            ("cons", Some(_)) => format!("{LOCAL_CLIENT}\n"),
            ("dump", Some(_)) => {
                "SessionTracker dump:\nSession Sets (0):\nephemeral nodes dump:\nSessions with Ephemerals (0):\n"
                    .to_owned()
            }
            ("wchs", Some(_)) => "0 connections watching 0 paths\nTotal watches:0\n".to_owned(),
            (_, Some(_)) => "\n".to_owned(),
        }
    }

    fn monitor(&self, member: &Member, mode: &str, now: Time) -> String {
        let received = member.received(now);
        let (connections, watches) = self.watching(&member.address);
        let mut lines = vec![
            ("zk_version", VERSION.to_owned()),
            ("zk_avg_latency", "0".to_owned()),
            ("zk_max_latency", "0".to_owned()),
            ("zk_min_latency", "0".to_owned()),
            ("zk_packets_received", received.to_string()),
            ("zk_packets_sent", (received - 1).to_string()),
            ("zk_num_alive_connections", (1 + connections).to_string()),
            ("zk_outstanding_requests", "0".to_owned()),
            ("zk_server_state", mode.to_owned()),
            ("zk_znode_count", member.data.node_count().to_string()),
            ("zk_watch_count", watches.to_string()),
            ("zk_ephemerals_count", member.data.nodes.ephemeral_count().to_string()),
            ("zk_approximate_data_size", member.data.nodes.bytes().to_string()),
            ("zk_open_file_descriptor_count", "24".to_owned()),
            ("zk_max_file_descriptor_count", "20000".to_owned()),
        ];
        if member.process == Process::Leading {
            let followers = self.group(&member.address).map_or(0, |group| group.len() - 1).to_string();
            lines.push(("zk_followers", followers.clone()));
            lines.push(("zk_synced_followers", followers));
            lines.push(("zk_pending_syncs", "0".to_owned()));
        }
        lines.iter().map(|(key, value)| format!("{key}\t{value}\n")).collect()
    }
}

impl Member {
    /// Packets received: Exhibitor's own questions.
    fn received(&self, now: Time) -> u64 {
        2 * now.saturating_sub(self.started) / self.view().period(&CHECK_MS) + 1
    }

    fn summary(&self, mode: &str, now: Time) -> String {
        let received = self.received(now);
        format!(
            "Latency min/avg/max: 0/0/0\nReceived: {received}\nSent: {}\nConnections: 1\nOutstanding: 0\n\
             Zxid: 0x{:x}\nMode: {mode}\nNode count: {}\n",
            received - 1,
            self.data.zxid,
            self.data.node_count()
        )
    }

    /// What the process was started with, not what Exhibitor has read since.
    fn configuration(&self) -> String {
        let view = self.view();
        let pairs = decode_pairs(&self.zoo.extra);
        let extra = |name: &str, default: i64| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found.and_then(|(_, value)| value.parse().ok()).unwrap_or(default)
        };
        let tick = extra("tickTime", 3_000);
        let mut text = format!(
            "clientPort={}\ndataDir={}/version-2\ndataLogDir={}/version-2\ntickTime={tick}\nmaxClientCnxns={}\n\
             minSessionTimeout={}\nmaxSessionTimeout={}\nserverId={}\n",
            self.zoo.client_port,
            view.text(&DATA_DIRECTORY),
            view.text(&LOG_DIRECTORY),
            extra("maxClientCnxns", 60),
            tick * 2,
            tick * 20,
            self.zoo.id.unwrap_or(0),
        );
        if self.process != Process::Standalone {
            let (quorum, election) = self.zoo.peer_ports;
            text.push_str(&format!(
                "initLimit={}\nsyncLimit={}\nelectionAlg=3\nelectionPort={election}\nquorumPort={quorum}\npeerType={}\n",
                extra("initLimit", 0),
                extra("syncLimit", 0),
                u8::from(self.zoo.observer),
            ));
        }
        text
    }
}
