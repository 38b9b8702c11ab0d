//! ZooKeeper's clients, as the process that carries their connections sees them.

use super::{Core, Inner, StoreError, WAIT_STEP};
use crate::api::ClusterKey;
use crate::exhibitor::{Connected, Received};
use crate::server::Clock;
use std::time::{Duration, Instant};

/// A ZooKeeper client. Virtual time can leap past a session's time-out although its client sends in time. So a session of a client
/// that this process serves ends when the client has sent nothing for the time-out in real time.
#[derive(Debug)]
pub(super) struct Client {
    connection: u64,
    cluster: ClusterKey,
    /// Milliseconds.
    timeout: u32,
    heard: Instant,
}

impl Client {
    fn left(&self) -> Duration {
        Duration::from_millis(self.timeout.into()).saturating_sub(self.heard.elapsed())
    }
}

impl Core {
    /// A client connects to a port of a pod; the connection's number, or `None` when nothing listens there.
    pub(crate) fn connect(&self, cluster: &str, address: &str, port: u16) -> Result<Option<u64>, StoreError> {
        self.turn(|inner, changed| {
            let number = inner.world.ids.number();
            match inner.world.in_cluster(cluster, |shares, _| shares.connect(address, port, number)) {
                Some(Connected::Open(number)) => {
                    *changed = true;
                    inner.connections.insert(number, cluster.to_owned());
                    Some(number)
                }
                // A client that connects again waits for the server to start.
                Some(Connected::Refused) | None => {
                    *changed |= matches!(self.clock, Clock::Instant) && inner.step(WAIT_STEP, Some(cluster));
                    None
                }
            }
        })
    }

    /// What a four-letter word is answered on a connection; `None` while the server does not answer.
    pub(crate) fn four_letters(&self, connection: u64, word: &str) -> Result<Option<String>, StoreError> {
        self.turn(|inner, _| {
            let cluster = inner.connections.get(&connection)?;
            inner
                .world
                .in_cluster(cluster, |shares, now| shares.four_letters(connection, word, now))
                .flatten()
        })
    }

    /// Hands a frame of a client to its server.
    pub(crate) fn frame(&self, connection: u64, frame: &[u8]) -> Result<Received, StoreError> {
        self.turn(|inner, changed| {
            let cluster = inner.connections.get(&connection).cloned().unwrap_or_default();
            let heard = inner.world.in_cluster(&cluster, |shares, now| {
                (shares.receive(connection, frame, now), shares.session(connection))
            });
            let (received, session) = heard.unwrap_or((Received::Last(Vec::new()), None));
            *changed |= received != Received::Later && !is_read(frame);
            // A server that does not serve closes the connection, and the client connects again: that is waiting, too.
            let waits = received == Received::Later || received == Received::Last(Vec::new());
            *changed |=
                waits && matches!(self.clock, Clock::Instant) && inner.step(WAIT_STEP, Some(&cluster));
            if let Some((session, timeout)) = session {
                inner
                    .sessions
                    .insert(session, Client { connection, cluster, timeout, heard: Instant::now() });
            }
            received
        })
    }

    /// Frames that a client did not ask for; `None` when its connection is cut. Takes no time on an instant clock:
    /// clients look whenever anything moves.
    pub(crate) fn news(&self, connection: u64) -> Result<Option<Vec<Vec<u8>>>, StoreError> {
        let fetch = |inner: &mut Inner, changed: &mut bool| {
            let cluster = inner.connections.get(&connection)?;
            let news = inner
                .world
                .in_cluster(cluster, |shares, _| (shares.has_news(connection), shares.fetch(connection)));
            let (is_new, frames) = news?;
            *changed |= is_new;
            frames
        };
        match self.clock {
            Clock::Paced { .. } => self.turn(fetch),
            Clock::Instant => self.turn_at(|inner| inner.world.now, fetch),
        }
    }

    /// The client of a connection has gone.
    pub(crate) fn disconnect(&self, connection: u64) -> Result<(), StoreError> {
        self.turn(|inner, changed| {
            inner.disconnect(connection);
            *changed = true;
        })
    }

    /// How long a client of a connection may still be silent; `None` before it has a session.
    pub(crate) fn patience(&self, connection: u64) -> Option<Duration> {
        let inner = self.lock();
        inner.sessions.values().find(|client| client.connection == connection).map(Client::left)
    }

    /// Ends the sessions of clients that have been silent for too long.
    pub(crate) fn reap(&self) -> Result<(), StoreError> {
        self.turn(Inner::reap)
    }
}

impl Inner {
    fn disconnect(&mut self, connection: u64) {
        if let Some(cluster) = self.connections.remove(&connection) {
            self.world.in_cluster(&cluster, |shares, _| shares.disconnect(connection));
        }
    }

    fn reap(&mut self, changed: &mut bool) {
        let silent = self.sessions.extract_if(.., |_, client| client.left().is_zero()).collect::<Vec<_>>();
        for (session, client) in silent {
            self.world.residence.sessions.retain(|known| *known != session);
            self.world.in_cluster(&client.cluster, |shares, now| {
                shares.disconnect(client.connection);
                shares.expire(session, now);
            });
            *changed = true;
        }
    }
}

/// Whether a ZooKeeper client's frame asks for something that changes nothing, not even who watches: a ping.
fn is_read(frame: &[u8]) -> bool {
    frame.first_chunk::<8>().is_some_and(|head| head[4..] == [0, 0, 0, 11])
}
