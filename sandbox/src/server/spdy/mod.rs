//! Streams into pods over SPDY/3.1, for clients before Kubernetes' WebSockets: `kubectl` up to 1.30, and newer ones that are
//! told so. The streams' protocols are `portforward.k8s.io` and `v4.channel.k8s.io`, as the kubelet has them in
//! `pkg/kubelet/portforward` (`k8s.io/kubelet/pkg/cri/streaming`).

mod dictionary;
mod frames;

use super::core::Core;
use super::zookeeper;
use crate::kubernetes::PodStream;
use frames::{Broken, Decoder, Encoder, Frame};
use hyper::body::Bytes;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Longest piece of output in one frame.
const PIECE: usize = 32 << 10;
/// How long a client gets to close the connection after the end of a program.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why a connection ended early.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Serves one client's connection until either ends it.
pub(super) async fn serve(
    core: &Arc<Core>,
    transport: impl AsyncRead + AsyncWrite + Send + 'static,
    stream: PodStream,
    running: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (mut reader, mut writer) = tokio::io::split(transport);
    let (outgoing, mut frames) = mpsc::channel::<Vec<u8>>(32);
    // Ends when nobody has anything more to say, or the client has gone.
    let writing = tokio::spawn(async move {
        while let Some(frame) = frames.recv().await {
            if writer.write_all(&frame).await.is_err() || writer.flush().await.is_err() {
                break;
            }
        }
        let _ = writer.shutdown().await;
    });
    let mut stopped = running.clone();
    let mut session =
        Session { outgoing, encoder: Encoder::new()?, work: Work::of(core, stream, running), last: 0 };
    let (mut decoder, mut buffer) = (Decoder::new(), vec![0; PIECE]);
    let served = async {
        loop {
            let patience = session.work.patience();
            let read = match tokio::time::timeout(patience, reader.read(&mut buffer)).await {
                Ok(read) => read?,
                Err(_) => return Ok(()),
            };
            if read == 0 {
                return Ok(());
            }
            decoder.push(buffer.get(..read).unwrap_or_default());
            while let Some(frame) = decoder.next()? {
                if !session.take(frame).await? {
                    return Ok(());
                }
            }
        }
    };
    let ended = tokio::select! {
        ended = served => ended,
        _ = stopped.wait_for(|running| !running) => Ok(()),
    };
    session.end().await;
    let _ = writing.await;
    ended
}

/// What a connection is for.
enum Work {
    Exec(Exec),
    Forward(Box<Forward>),
}

impl Work {
    fn of(core: &Arc<Core>, stream: PodStream, running: watch::Receiver<bool>) -> Self {
        match stream {
            PodStream::Exec { stdout, stderr, status } => Self::Exec(Exec {
                output: [("stdout", stdout), ("stderr", stderr)],
                status,
                streams: BTreeMap::new(),
                done: false,
            }),
            PodStream::Forward { pod, cluster, address, .. } => Self::Forward(Box::new(Forward {
                core: Arc::clone(core),
                pod,
                address: (cluster, address),
                running,
                streams: BTreeMap::new(),
                halves: BTreeMap::new(),
                open: JoinSet::new(),
            })),
        }
    }

    /// How long the client may be silent.
    fn patience(&self) -> Duration {
        match self {
            Self::Exec(exec) if exec.done => GOODBYE,
            Self::Exec(_) | Self::Forward(_) => Duration::MAX,
        }
    }
}

struct Session {
    outgoing: mpsc::Sender<Vec<u8>>,
    encoder: Encoder,
    work: Work,
    /// The newest stream of the client.
    last: u32,
}

impl Session {
    /// Takes a frame; whether the connection goes on.
    async fn take(&mut self, frame: Frame) -> Result<bool, Broken> {
        match frame {
            Frame::Open { stream, headers } => {
                self.last = self.last.max(stream);
                let reply = self.encoder.reply(stream)?;
                let _ = self.outgoing.send(reply).await;
                let header = |wanted: &str| {
                    headers.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.as_str())
                };
                match &mut self.work {
                    Work::Exec(exec) => {
                        exec.open(stream, header("streamtype").unwrap_or_default(), &self.outgoing).await
                    }
                    Work::Forward(forward) => {
                        let kind = header("streamtype").unwrap_or_default();
                        let port = header("port").and_then(|port| port.parse().ok()).unwrap_or(0);
                        forward.open(stream, kind, port, header("requestid"), &self.outgoing);
                    }
                }
            }
            Frame::Data { stream, bytes, last } => {
                if let Work::Forward(forward) = &mut self.work {
                    forward.data(stream, bytes, last).await;
                }
            }
            Frame::Reset { stream } => {
                if let Work::Forward(forward) = &mut self.work {
                    forward.streams.remove(&stream);
                }
            }
            Frame::Ping { id } => {
                let _ = self.outgoing.send(frames::ping(id)).await;
            }
            Frame::GoAway => return Ok(false),
            Frame::Other => {}
        }
        Ok(true)
    }

    async fn end(self) {
        if let Work::Forward(mut forward) = self.work {
            // Each port hears that its client has gone, and ends its connection.
            forward.streams.clear();
            forward.halves.clear();
            while forward.open.join_next().await.is_some() {}
        }
        let _ = self.outgoing.send(frames::go_away(self.last)).await;
    }
}

/// A program that has run.
struct Exec {
    output: [(&'static str, Option<Vec<u8>>); 2],
    status: Value,
    /// Numbers of the client's streams, by their type.
    streams: BTreeMap<String, u32>,
    done: bool,
}

impl Exec {
    /// Sends everything once the client has opened every stream that something goes to.
    async fn open(&mut self, stream: u32, kind: &str, outgoing: &mpsc::Sender<Vec<u8>>) {
        self.streams.insert(kind.to_owned(), stream);
        let asked = self.output.iter().filter(|(_, bytes)| bytes.is_some()).map(|(kind, _)| *kind);
        if self.done || !asked.chain(["error"]).all(|kind| self.streams.contains_key(kind)) {
            return;
        }
        self.done = true;
        let status = self.status.to_string().into_bytes();
        let written = self.output.iter().filter_map(|(kind, bytes)| Some((*kind, bytes.as_ref()?)));
        for (kind, bytes) in written.chain([("error", &status)]) {
            let Some(stream) = self.streams.get(kind) else { continue };
            for piece in bytes.chunks(PIECE) {
                let _ = outgoing.send(frames::data(*stream, piece, false)).await;
            }
            let _ = outgoing.send(frames::data(*stream, &[], true)).await;
        }
    }
}

/// Ports of a pod. The client opens a pair of streams for each connection: one for errors, one for the bytes.
struct Forward {
    core: Arc<Core>,
    pod: String,
    /// The pod's cluster and address.
    address: (String, String),
    running: watch::Receiver<bool>,
    /// Where the bytes of a stream go.
    streams: BTreeMap<u32, mpsc::Sender<Bytes>>,
    /// Streams that wait for the other of their pair, by the request's number.
    halves: BTreeMap<String, Half>,
    open: JoinSet<()>,
}

#[derive(Default)]
struct Half {
    error: Option<u32>,
    data: Option<u32>,
}

impl Forward {
    fn open(
        &mut self,
        stream: u32,
        kind: &str,
        port: u16,
        request: Option<&str>,
        outgoing: &mpsc::Sender<Vec<u8>>,
    ) {
        // Clients before 1.4 name no request: the data stream is the next one after the error stream.
        let own = if kind == "data" { stream.saturating_sub(2) } else { stream };
        let request = request.map_or_else(|| own.to_string(), str::to_owned);
        let half = self.halves.entry(request.clone()).or_default();
        match kind {
            "error" => half.error = Some(stream),
            "data" => half.data = Some(stream),
            _ => {}
        }
        let Half { error: Some(error), data: Some(data) } = *half else { return };
        self.halves.remove(&request);
        let (sender, incoming) = mpsc::channel(32);
        self.streams.insert(data, sender);
        let (core, running, outgoing) = (Arc::clone(&self.core), self.running.clone(), outgoing.clone());
        let (address, pod) = (self.address.clone(), self.pod.clone());
        self.open.spawn(async move {
            let (answers, mut answered) = mpsc::channel(32);
            let wire = zookeeper::Wire { incoming, outgoing: answers, channel: 0 };
            let relay = async {
                while let Some((_, bytes)) = answered.recv().await {
                    let bytes: Vec<u8> = bytes;
                    for piece in bytes.chunks(PIECE) {
                        let _ = outgoing.send(frames::data(data, piece, false)).await;
                    }
                }
            };
            let (served, ()) =
                tokio::join!(zookeeper::serve(&core, (&address.0, &address.1), port, wire, running), relay);
            if let Err(why) = served {
                let text = format!("error forwarding port {port} to pod {pod}: {why}");
                let _ = outgoing.send(frames::data(error, text.as_bytes(), false)).await;
            }
            for stream in [data, error] {
                let _ = outgoing.send(frames::data(stream, &[], true)).await;
            }
        });
    }

    async fn data(&mut self, stream: u32, bytes: Bytes, last: bool) {
        if let Some(sender) = self.streams.get(&stream).filter(|_| !bytes.is_empty()) {
            // A port that has ended takes no more; the client hears of it by its own means.
            let _ = sender.send(bytes).await;
        }
        if last {
            self.streams.remove(&stream);
        }
        while self.open.try_join_next().is_some() {}
    }
}
