//! ZooKeeper towards its clients: connections, sessions, watches, as a server of 3.4.14 has them.
//!
//! A connection belongs to one run of one server: it ends with the process, and when the server leaves its quorum. A
//! session belongs to the ensemble: its opening and its end are transactions, and another member takes it up by its id
//! and password. How long it has been silent is for the leader to know; a new one begins to count anew.

pub(super) mod acl;
pub(super) mod files;
mod jute;
mod requests;
mod wire;

use super::config::{ZOO_CFG_EXTRA, decode_pairs};
use super::data::{Data, Event, Operation, Transaction, parent};
use super::member::{Member, Process};
use super::{Share, Shares};
use crate::api::Time;
use crate::containers::PORT;
use acl::Identity;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use wire::{Call, Code, ConnectRequest, Happened, Question};

/// Clients of one share's members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Clients {
    connections: BTreeMap<u64, Connection>,
    /// When the leader last heard of each session.
    heard: BTreeMap<i64, Time>,
    /// Sessions ever opened, for their ids.
    opened: u64,
}

/// One connection to one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Connection {
    address: String,
    /// Which run of the server it belongs to.
    started: Time,
    /// None before the handshake.
    session: Option<i64>,
    identities: Vec<Identity>,
    /// Paths whose znode is watched, there or not.
    data_watches: BTreeSet<String>,
    /// Paths whose children are watched.
    child_watches: BTreeSet<String>,
    /// Frames that wait to be fetched.
    outbox: Vec<Vec<u8>>,
}

/// What becomes of an attempt to connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connected {
    /// The number of the connection.
    Open(u64),
    /// Nobody listens on the port.
    Refused,
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// Frames to send back, in this order.
    Answers(Vec<Vec<u8>>),
    /// Frames to send back, and then the connection ends.
    Last(Vec<Vec<u8>>),
    /// The server does not read now: hand the frame in again when the world has moved on.
    Later,
}

impl Shares {
    /// A client connects to a port in a member's pod. `number` names the connection; it must be new.
    pub fn connect(&mut self, address: &str, port: u16, number: u64) -> Connected {
        let address = self.host(address).to_owned();
        let Some(share) = self.share_of_mut(&address) else { return Connected::Refused };
        let member = share.members.get(&address);
        let listens = |member: &&Member| {
            let runs = !matches!(member.process, Process::Stopped { .. } | Process::Booting { .. });
            runs && member.zoo.client_port == i64::from(port)
        };
        let Some(started) = member.filter(listens).map(|member| member.started) else {
            return Connected::Refused;
        };
        // Port-forwarding connects from the pod's own loopback.
        let identities = vec![("ip".to_owned(), "127.0.0.1".to_owned())];
        let connection = Connection {
            address,
            started,
            session: None,
            identities,
            data_watches: BTreeSet::new(),
            child_watches: BTreeSet::new(),
            outbox: Vec::new(),
        };
        share.clients.connections.insert(number, connection);
        Connected::Open(number)
    }

    /// Whether a program of the member at this address listens on a port: Exhibitor or ZooKeeper. `None` where there is no
    /// member.
    #[must_use]
    pub fn listens(&self, address: &str, port: u16, now: Time) -> Option<bool> {
        let member = self.member(address)?;
        let zookeeper = !matches!(member.process, Process::Stopped { .. } | Process::Booting { .. })
            && member.zoo.client_port == i64::from(port);
        Some(zookeeper || (port == PORT && self.answers(address, now)))
    }

    /// What the ZooKeeper behind this port answers to a four-letter word; `None` when it does not.
    #[must_use]
    pub fn ask(&self, address: &str, port: i64, word: &str, now: Time) -> Option<String> {
        let member = self.member(address).filter(|member| member.port_answers())?;
        let share = self.share_of(&member.address)?;
        (member.zoo.client_port == port).then(|| share.word(&member.address, word, now))
    }

    /// What a client's four-letter word is answered; `None` when the server does not answer now.
    #[must_use]
    pub fn four_letters(&self, connection: u64, word: &str, now: Time) -> Option<String> {
        let share = self.share_with(connection)?;
        let address = &share.clients.connections.get(&connection)?.address;
        let hangs = share.members.get(address)?.hung.is_some();
        (!hangs).then(|| share.word(address, word, now))
    }

    /// A frame of a client, without its length.
    pub fn receive(&mut self, connection: u64, frame: &[u8], now: Time) -> Received {
        let number = connection;
        let Some(share) =
            self.shares.values_mut().find(|share| share.clients.connections.contains_key(&number))
        else {
            return Received::Last(Vec::new());
        };
        share.advance(now);
        let received = share.receive(number, frame);
        share.settle(now);
        received
    }

    /// Frames for a client that it did not ask for; `None` when its connection is cut.
    pub fn fetch(&mut self, connection: u64) -> Option<Vec<Vec<u8>>> {
        let found =
            self.shares.values_mut().find_map(|share| share.clients.connections.get_mut(&connection))?;
        Some(std::mem::take(&mut found.outbox))
    }

    /// Whether [`Self::fetch`] would return anything but no frames.
    #[must_use]
    pub fn has_news(&self, connection: u64) -> bool {
        let found = self.share_with(connection).and_then(|share| share.clients.connections.get(&connection));
        found.is_none_or(|connection| !connection.outbox.is_empty())
    }

    /// The client of a connection has gone. Its session lives on.
    pub fn disconnect(&mut self, connection: u64) {
        for share in self.shares.values_mut() {
            share.clients.connections.remove(&connection);
        }
    }

    /// How many clients are connected to a member.
    #[must_use]
    pub fn connections(&self, address: &str) -> usize {
        self.share_of(address).map_or(0, |share| share.watching(address).0)
    }

    /// The session of a connection, and its time-out in ms; `None` before the handshake.
    #[must_use]
    pub fn session(&self, connection: u64) -> Option<(i64, u32)> {
        let share = self.share_with(connection)?;
        let connection = share.clients.connections.get(&connection)?;
        let session = connection.session?;
        let timeout = share.members.get(&connection.address)?.data.sessions.get(&session)?;
        Some((session, *timeout))
    }

    /// Clients of these sessions are there and will be until then: they are taken to have been heard.
    pub fn keep_alive(&mut self, sessions: &[i64], until: Time) {
        for heard in self.shares.values_mut().map(|share| &mut share.clients.heard) {
            for session in sessions {
                if let Some(time) = heard.get_mut(session) {
                    *time = (*time).max(until);
                }
            }
        }
    }

    /// A client has been silent for too long: the leader ends its session, unless it has connected anew.
    pub fn expire(&mut self, session: i64, now: Time) {
        for share in self.shares.values_mut() {
            if share.clients.connections.values().any(|client| client.session == Some(session)) {
                continue;
            }
            if let Some(heard) = share.clients.heard.get_mut(&session) {
                *heard = 0;
                share.expire_sessions(now);
                share.settle(now);
            }
        }
    }

    fn share_with(&self, connection: u64) -> Option<&Share> {
        self.shares.values().find(|share| share.clients.connections.contains_key(&connection))
    }
}

impl Member {
    /// Bounds of what time-out a client may have, in ms.
    fn timeouts(&self) -> (u32, u32) {
        let pairs = decode_pairs(self.view().text(&ZOO_CFG_EXTRA));
        let set = |name: &str| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found.and_then(|(_, value)| value.parse::<u32>().ok()).filter(|value| *value > 0)
        };
        let tick = set("tickTime").unwrap_or(3_000);
        (set("minSessionTimeout").unwrap_or(tick * 2), set("maxSessionTimeout").unwrap_or(tick * 20))
    }
}

/// The password of a session: only a server can make it.
fn password(session: i64) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(b"session");
    hash.update(session.to_be_bytes());
    hash.finalize().iter().take(16).copied().collect()
}

impl Share {
    fn receive(&mut self, number: u64, frame: &[u8]) -> Received {
        let Some(connection) = self.clients.connections.get(&number) else {
            return Received::Last(Vec::new());
        };
        let address = connection.address.clone();
        if self.members.get(&address).is_some_and(|member| member.hung.is_some()) {
            return Received::Later;
        }
        let Some(group) = self.group(&address) else { return self.end(number, Vec::new()) };
        let leader_hangs = group
            .first()
            .and_then(|leader| self.members.get(leader))
            .is_some_and(|leader| leader.hung.is_some());
        let Some(session) = connection.session else {
            return match ConnectRequest::read(frame) {
                Some(_) if leader_hangs => Received::Later,
                Some(request) => self.begin(number, &address, &request),
                None => self.end(number, Vec::new()),
            };
        };
        let Some((xid, call)) = wire::read_request(frame) else {
            let (xid, zxid) =
                (frame.first_chunk().map_or(0, |xid| i32::from_be_bytes(*xid)), self.zxid(&address));
            return self.end(number, vec![wire::reply(xid, zxid, Code::MARSHALLING).0]);
        };
        self.clients.heard.insert(session, self.clock);
        if leader_hangs && matches!(call, Call::Change(_) | Call::Multi(_) | Call::Sync { .. } | Call::Close)
        {
            return Received::Later;
        }
        self.call(number, &address, session, xid, &call)
    }

    /// Ends a connection after these frames and those that already wait.
    fn end(&mut self, number: u64, frames: Vec<Vec<u8>>) -> Received {
        let waiting = self.clients.connections.remove(&number).map(|connection| connection.outbox);
        let mut all = waiting.unwrap_or_default();
        all.extend(frames);
        Received::Last(all)
    }

    /// Frames that wait, and one more.
    fn answer(&mut self, number: u64, frame: Vec<u8>) -> Received {
        let connection = self.clients.connections.get_mut(&number);
        let mut all = connection.map(|connection| std::mem::take(&mut connection.outbox)).unwrap_or_default();
        all.push(frame);
        Received::Answers(all)
    }

    fn zxid(&self, address: &str) -> u64 {
        self.members.get(address).map_or(0, |member| member.data.zxid)
    }

    /// The handshake: a new session, or one that is taken up again.
    fn begin(&mut self, number: u64, address: &str, request: &ConnectRequest) -> Received {
        let Some(member) = self.members.get(address) else { return self.end(number, Vec::new()) };
        // A client that has seen more than this server must not go back in time.
        if u64::try_from(request.last_zxid).is_ok_and(|seen| seen > member.data.zxid) {
            return self.end(number, Vec::new());
        }
        let (least, most) = member.timeouts();
        let timeout = u32::try_from(request.timeout).unwrap_or(0).clamp(least, most.max(least));
        let (session, timeout) = if request.session == 0 {
            let session = self.new_session(address);
            let operation = Operation::CreateSession { timeout };
            self.log(address, Transaction { zxid: 0, time: self.clock, session, cxid: 0, operation });
            (session, timeout)
        } else {
            let known = member.data.sessions.contains_key(&request.session);
            if !known || request.password != password(request.session) {
                let refusal = request.answer(0, 0, &[0; 16]);
                return self.end(number, vec![refusal]);
            }
            // The session moves: its connection before ends.
            let session = Some(request.session);
            self.clients.connections.retain(|_, connection| connection.session != session);
            for member in self.members.values_mut() {
                member.data.sessions.entry(request.session).and_modify(|known| *known = timeout);
            }
            (request.session, timeout)
        };
        self.clients.heard.insert(session, self.clock);
        if let Some(connection) = self.clients.connections.get_mut(&number) {
            connection.session = Some(session);
        }
        self.answer(number, request.answer(session, timeout, &password(session)))
    }

    /// An id as ZooKeeper makes them: the server's own in the top byte, then the time.
    fn new_session(&mut self, address: &str) -> i64 {
        let server = self.members.get(address).and_then(|member| member.zoo.id).unwrap_or(0);
        self.clients.opened += 1;
        let low = ((self.clock << 24) >> 8).wrapping_add(self.clients.opened) & 0x00ff_ffff_ffff_ffff;
        (server << 56) | i64::try_from(low).unwrap_or(0)
    }

    fn call(&mut self, number: u64, address: &str, session: i64, xid: i32, call: &Call) -> Received {
        let who = self.clients.connections.get(&number).map(|client| client.identities.clone());
        let who = who.unwrap_or_default();
        let zxid = self.zxid(address);
        match call {
            Call::Ping => self.answer(number, wire::reply(xid, zxid, Code::OK).0),
            Call::Close => {
                let operation = Operation::CloseSession;
                let closing = Transaction { zxid: 0, time: self.clock, session, cxid: xid, operation };
                let zxid = self.log(address, closing).unwrap_or(zxid);
                self.clients.heard.remove(&session);
                self.end(number, vec![wire::reply(xid, zxid, Code::OK).0])
            }
            Call::Sync { path } => {
                let mut reply = wire::reply(xid, zxid, Code::OK);
                reply.string(path);
                self.answer(number, reply.0)
            }
            Call::Auth { scheme, credentials } => {
                let credentials = String::from_utf8_lossy(credentials);
                if scheme != "digest" {
                    return self.end(number, vec![wire::reply(xid, zxid, Code::AUTH_FAILED).0]);
                }
                if let Some(client) = self.clients.connections.get_mut(&number) {
                    let identity = acl::digest(&credentials);
                    if !client.identities.contains(&identity) {
                        client.identities.push(identity);
                    }
                }
                self.answer(number, wire::reply(xid, zxid, Code::OK).0)
            }
            Call::Ask { question, path, watch } => {
                let mut reply = wire::reply(xid, zxid, Code::OK);
                let asked = self.members.get(address).map_or(Err(Code::SESSION_EXPIRED), |member| {
                    requests::ask(&member.data, *question, path, &who, &mut reply)
                });
                // Only `exists` can watch for a znode that is not there.
                let watchable =
                    asked.is_ok() || (*question == Question::Exists && asked == Err(Code::NO_NODE));
                if let Some(client) =
                    self.clients.connections.get_mut(&number).filter(|_| *watch && watchable)
                {
                    client.watch(*question, path);
                }
                let reply = asked.map_or_else(|code| wire::reply(xid, zxid, code), |()| reply);
                self.answer(number, reply.0)
            }
            Call::SetWatches { last_zxid, data, exist, child } => {
                self.set_watches(number, address, *last_zxid, [data, exist, child]);
                // What has been missed comes after the answer, as ZooKeeper sends it before it: clients take either.
                self.answer(number, wire::reply(xid, zxid, Code::OK).0)
            }
            Call::Change(_) | Call::Multi(_) => self.write_call(number, address, session, xid, call, &who),
            Call::Unknown => self.end(number, vec![wire::reply(xid, zxid, Code::UNIMPLEMENTED).0]),
        }
    }

    fn write_call(
        &mut self,
        number: u64,
        address: &str,
        session: i64,
        xid: i32,
        call: &Call,
        who: &[Identity],
    ) -> Received {
        let blank =
            Transaction { zxid: 0, time: self.clock, session, cxid: xid, operation: Operation::Error(0) };
        let leader = self.group(address).and_then(|group| group.first().cloned());
        let Some(leader) = leader.and_then(|leader| self.members.get(&leader)) else {
            return self.end(number, Vec::new());
        };
        let prepared = if leader.data.sessions.contains_key(&session) {
            match call {
                Call::Change(change) => requests::prepare(&leader.data, change, who),
                Call::Multi(changes) => {
                    let blank = Transaction { zxid: leader.data.zxid + 1, ..blank.clone() };
                    Ok(requests::prepare_multi(&leader.data, changes, who, &blank))
                }
                Call::Ask { .. }
                | Call::Sync { .. }
                | Call::Ping
                | Call::Auth { .. }
                | Call::SetWatches { .. }
                | Call::Close
                | Call::Unknown => Err(Code::UNIMPLEMENTED),
            }
        } else {
            Err(Code::SESSION_EXPIRED)
        };
        let code = prepared.as_ref().err().copied().unwrap_or(Code::OK);
        let operation = prepared.unwrap_or(Operation::Error(code.0));
        let Some(zxid) = self.log(address, Transaction { operation: operation.clone(), ..blank }) else {
            return self.end(number, Vec::new());
        };
        let mut reply = wire::reply(xid, zxid, code);
        if let Some(member) = self.members.get(address).filter(|_| code == Code::OK) {
            requests::changed(&member.data, &operation, &mut reply);
        }
        self.answer(number, reply.0)
    }

    /// Takes up the watches of a client that comes back, and tells what it has missed.
    fn set_watches(&mut self, number: u64, address: &str, last_zxid: i64, watches: [&Vec<String>; 3]) {
        let Some(data) = self.members.get(address).map(|member| &member.data) else { return };
        let Some(client) = self.clients.connections.get_mut(&number) else { return };
        let seen = u64::try_from(last_zxid).unwrap_or(0);
        let [on_data, on_absence, on_children] = watches;
        let mut tell = |happened, path: &str| client.outbox.push(wire::notification(happened, path));
        let (mut keep_data, mut keep_children) = (Vec::new(), Vec::new());
        for path in on_data {
            match data.nodes.get(path) {
                None => tell(Happened::Deleted, path),
                Some(node) if node.mzxid > seen => tell(Happened::Changed, path),
                Some(_) => keep_data.push(path.clone()),
            }
        }
        for path in on_absence {
            match data.nodes.get(path) {
                Some(_) => tell(Happened::Created, path),
                None => keep_data.push(path.clone()),
            }
        }
        for path in on_children {
            match data.nodes.get(path) {
                None => tell(Happened::Deleted, path),
                Some(node) if node.pzxid > seen => tell(Happened::ChildrenChanged, path),
                Some(_) => keep_children.push(path.clone()),
            }
        }
        client.data_watches.extend(keep_data);
        client.child_watches.extend(keep_children);
    }

    /// Connections of clients at one server, and the watches they hold.
    pub(super) fn watching(&self, address: &str) -> (usize, usize) {
        let clients: Vec<_> =
            self.clients.connections.values().filter(|client| client.address == address).collect();
        let watches =
            clients.iter().map(|client| client.data_watches.len() + client.child_watches.len()).sum();
        (clients.len(), watches)
    }

    /// Lets the watches at one server fire.
    pub(super) fn notify(&mut self, address: &str, events: &[Event]) {
        let clients = self.clients.connections.values_mut().filter(|client| client.address == address);
        for client in clients {
            for event in events {
                client.notify(event);
            }
        }
    }

    /// A new leader, or a stand-alone server, begins to count how long sessions have been silent.
    pub(super) fn track_sessions(&mut self, address: &str, now: Time) {
        let Some(member) = self.members.get(address) else { return };
        for session in member.data.sessions.keys() {
            self.clients.heard.insert(*session, now);
        }
    }

    /// Sessions with the time at which they expire if nothing is heard of them, and the server that says so.
    fn expiries(&self) -> impl Iterator<Item = (Time, i64, &str)> {
        let leads = |member: &&Member| {
            matches!(member.process, Process::Leading | Process::Standalone) && member.port_answers()
        };
        self.members.values().filter(leads).flat_map(|member| {
            member.data.sessions.iter().filter_map(|(session, timeout)| {
                let heard = self.clients.heard.get(session)?;
                Some((heard + Time::from(*timeout), *session, member.address.as_str()))
            })
        })
    }

    /// When a session expires next.
    pub(super) fn session_event(&self) -> Option<Time> {
        self.expiries().map(|(at, ..)| at).min()
    }

    /// Ends the sessions that have been silent for too long.
    pub(super) fn expire_sessions(&mut self, now: Time) {
        let due: Vec<(i64, String)> = self
            .expiries()
            .filter(|(at, ..)| *at <= now)
            .map(|(_, session, address)| (session, address.to_owned()))
            .collect();
        for (session, address) in due {
            let operation = Operation::CloseSession;
            self.log(&address, Transaction { zxid: 0, time: now, session, cxid: 0, operation });
            self.clients.heard.remove(&session);
        }
    }

    /// Connections end with their server's run, with its part in a quorum, and with their session.
    pub(super) fn cut_connections(&mut self) {
        if self.clients.connections.is_empty() {
            return;
        }
        let mut connections = std::mem::take(&mut self.clients.connections);
        connections.retain(|_, client| {
            let Some(member) = self.members.get(&client.address) else { return false };
            let runs = !matches!(member.process, Process::Stopped { .. } | Process::Booting { .. });
            let serves = member.mode().is_some();
            let open =
                |data: &Data| client.session.is_none_or(|session| data.sessions.contains_key(&session));
            runs && member.started == client.started
                && (client.session.is_none() || serves)
                && open(&member.data)
        });
        self.clients.connections = connections;
    }
}

impl Connection {
    fn watch(&mut self, question: Question, path: &str) {
        match question {
            Question::Exists | Question::Data => self.data_watches.insert(path.to_owned()),
            Question::Children | Question::ChildrenAndStat => self.child_watches.insert(path.to_owned()),
            Question::Acl => false,
        };
    }

    fn notify(&mut self, event: &Event) {
        let (path, happened) = match event {
            Event::Created(path) => (path, Happened::Created),
            Event::Changed(path) => (path, Happened::Changed),
            Event::Deleted(path) => (path, Happened::Deleted),
        };
        let on_data = self.data_watches.remove(path);
        let on_children = happened == Happened::Deleted && self.child_watches.remove(path);
        if on_data || on_children {
            self.outbox.push(wire::notification(happened, path));
        }
        let above = parent(path).filter(|_| happened != Happened::Changed);
        if let Some(above) = above.filter(|above| self.child_watches.remove(*above)) {
            self.outbox.push(wire::notification(Happened::ChildrenChanged, above));
        }
    }
}
