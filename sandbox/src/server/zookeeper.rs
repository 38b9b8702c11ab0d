//! One client's connection to a member's ZooKeeper: frames out of bytes, and what comes unasked.

use super::core::Core;
use super::store::StoreError;
use crate::exhibitor::Received;
use hyper::body::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Longest frame that ZooKeeper reads: `jute.maxbuffer`.
const LONGEST: usize = 0x000f_ffff;
/// The pause between two looks at a world that moves by itself.
const BREATH: Duration = Duration::from_millis(5);
/// Words of a server of 3.4; any other four bytes are the length of a frame.
const WORDS: [&str; 15] = [
    "conf", "cons", "crst", "dump", "envi", "isro", "mntr", "ruok", "srst", "srvr", "stat", "wchc", "wchp",
    "wchs", "reqs",
];

/// Both directions of a connection.
#[derive(Debug)]
pub(crate) struct Wire {
    /// Bytes from the client, until it goes.
    pub(crate) incoming: mpsc::Receiver<Bytes>,
    /// Bytes to the client, with the channel.
    pub(crate) outgoing: mpsc::Sender<(u8, Vec<u8>)>,
    pub(crate) channel: u8,
}

/// What stands at the head of the bytes.
enum Next {
    Word(String),
    /// A frame, of so many bytes with its length.
    Frame(usize),
    More,
    Nonsense,
}

fn next(bytes: &[u8]) -> Next {
    let Some(head) = bytes.first_chunk::<4>() else { return Next::More };
    if let Some(word) = std::str::from_utf8(head).ok().filter(|word| WORDS.contains(word)) {
        return Next::Word(word.to_owned());
    }
    match usize::try_from(u32::from_be_bytes(*head)) {
        Ok(length) if length <= LONGEST && bytes.len() >= length + 4 => Next::Frame(length + 4),
        Ok(length) if length <= LONGEST => Next::More,
        Ok(_) | Err(_) => Next::Nonsense,
    }
}

/// Why a port can't be forwarded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error(
        "failed to connect to localhost:{0} inside the pod: dial tcp4 127.0.0.1:{0}: connect: connection refused"
    )]
    NobodyListens(u16),
    #[error(transparent)]
    State(#[from] StoreError),
}

/// Serves one client of the port in the pod of a cluster at this address, until either ends.
///
/// # Errors
/// When nobody listens on the port, or the state can't be read.
pub(crate) async fn serve(
    core: &Arc<Core>,
    (cluster, address): (&str, &str),
    port: u16,
    wire: Wire,
    running: watch::Receiver<bool>,
) -> Result<(), Refused> {
    let number = core.connect(cluster, address, port)?.ok_or(Refused::NobodyListens(port))?;
    let ended = Connection { core, cluster, number, wire, bytes: Vec::new() }.run(running).await;
    let patience = core.patience(number);
    core.disconnect(number)?;
    if let Some(patience) = patience {
        // The session is there for its client to come back, for a while.
        let core = Arc::clone(core);
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            if let Err(error) = core.reap() {
                tracing::debug!(%error, "sessions not looked at");
            }
        });
    }
    Ok(ended?)
}

struct Connection<'c> {
    core: &'c Core,
    cluster: &'c str,
    number: u64,
    wire: Wire,
    bytes: Vec<u8>,
}

impl Connection<'_> {
    async fn run(mut self, mut running: watch::Receiver<bool>) -> Result<(), StoreError> {
        loop {
            let moved = self.core.moved.notified();
            tokio::pin!(moved);
            // From here on nothing is missed, though it is awaited later.
            moved.as_mut().enable();
            if self.read().await? {
                return Ok(());
            }
            let Some(frames) = self.core.news(self.number)? else { return Ok(()) };
            if self.send(frames).await {
                return Ok(());
            }
            let patience = self.core.patience(self.number);
            if patience.is_some_and(|left| left.is_zero()) {
                self.core.reap()?;
                continue;
            }
            let pause = self.core.pause(Some(self.cluster));
            let pause = patience.map_or(pause, |left| left.min(pause));
            tokio::select! {
                bytes = self.wire.incoming.recv() => match bytes {
                    Some(bytes) => self.bytes.extend(bytes),
                    None => return Ok(()),
                },
                // On a paced clock each look moves the world: without a breath this would wake itself for ever, and nobody else
                // would come to his turn.
                () = async {
                    moved.await;
                    tokio::time::sleep(BREATH).await;
                } => {}
                () = tokio::time::sleep(pause) => {}
                _ = running.wait_for(|running| !running) => return Ok(()),
            }
        }
    }

    /// Hands what has arrived to the server; whether the connection ends.
    async fn read(&mut self) -> Result<bool, StoreError> {
        loop {
            match next(&self.bytes) {
                Next::More => return Ok(false),
                Next::Nonsense => return Ok(true),
                Next::Word(word) => {
                    let Some(text) = self.core.four_letters(self.number, &word)? else { return Ok(false) };
                    let _ = self.wire.outgoing.send((self.wire.channel, text.into_bytes())).await;
                    return Ok(true);
                }
                Next::Frame(length) => {
                    let frame = self.bytes.get(4..length).unwrap_or_default();
                    let (answers, last) = match self.core.frame(self.number, frame)? {
                        Received::Later => return Ok(false),
                        Received::Answers(answers) => (answers, false),
                        Received::Last(answers) => (answers, true),
                    };
                    self.bytes.drain(..length);
                    if self.send(answers).await || last {
                        return Ok(true);
                    }
                }
            }
        }
    }

    /// Sends frames; whether the client has gone.
    async fn send(&mut self, frames: Vec<Vec<u8>>) -> bool {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(u32::try_from(frame.len()).unwrap_or(u32::MAX).to_be_bytes());
            bytes.extend(frame);
        }
        !bytes.is_empty() && self.wire.outgoing.send((self.wire.channel, bytes)).await.is_err()
    }
}
