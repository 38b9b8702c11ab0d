//! Streams into pods, over WebSocket: Kubernetes' channels, numbered by each message's first byte. Over SPDY: `spdy`.

use super::core::Core;
use super::http::{Payload, refuse};
use super::{spdy, zookeeper};
use crate::api::{Request, Response};
use crate::kubernetes::PodStream;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, StatusCode};
use hyper::body::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

/// Channels of a program's stream.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;
/// SPDY within WebSocket's messages, as `kubectl port-forward` asks for since 1.31.
const TUNNEL: &str = "SPDY/3.1+portforward.k8s.io";
/// Longest piece of output in one message.
const PIECE: usize = 32 << 10;
/// How long a client gets to close the connection after the end.
const GOODBYE: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Answers a request for a stream: switches protocols, and serves the stream in the background.
///
/// # Errors
/// The response that refuses a request which is no handshake, or offers none of the protocols that are served.
pub(crate) fn open(
    core: &Arc<Core>,
    request: &Request,
    stream: PodStream,
    upgraded: OnUpgrade,
    running: watch::Receiver<bool>,
) -> Result<hyper::Response<Payload>, Box<Response>> {
    let refused = |why: String| Box::new(refuse(400, &why));
    let wanted = request.header("upgrade").unwrap_or_default();
    if wanted.is_empty() {
        return Err(refused("Upgrade request required".to_owned()));
    }
    if wanted.eq_ignore_ascii_case("spdy/3.1") {
        return open_spdy(core, request, stream, upgraded, running);
    }
    let key = request.header("sec-websocket-key").filter(|_| wanted.eq_ignore_ascii_case("websocket"));
    let key = key.ok_or_else(|| {
        refused(format!(
            "unable to upgrade: the embedded cloud's pods take WebSocket and SPDY/3.1, not {wanted}"
        ))
    })?;
    let served: &[&str] = match &stream {
        PodStream::Exec { .. } => &["v5.channel.k8s.io", "v4.channel.k8s.io"],
        PodStream::Forward { .. } => &["v4.channel.k8s.io", TUNNEL],
    };
    let offered = request.header("sec-websocket-protocol").unwrap_or_default();
    let chosen = offered.split(',').map(str::trim).find(|offer| served.contains(offer));
    let chosen = chosen.ok_or_else(|| {
        refused(format!(
            "unable to upgrade: none of the protocols {offered:?} is served here: there is {}",
            served.join(" and ")
        ))
    })?;
    let mut response = hyper::Response::new(Payload::Whole(None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert("connection", HeaderValue::from_static("Upgrade"));
    headers.insert("upgrade", HeaderValue::from_static("websocket"));
    let accept = derive_accept_key(key.as_bytes());
    for (name, value) in [("sec-websocket-accept", accept.as_str()), ("sec-websocket-protocol", chosen)] {
        let value = HeaderValue::from_str(value).map_err(|error| refused(error.to_string()))?;
        headers.insert(name, value);
    }
    let (core, tunnelled) = (Arc::clone(core), chosen == TUNNEL);
    tokio::spawn(async move {
        let socket = match upgraded.await {
            Ok(upgraded) => {
                WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, None).await
            }
            Err(error) => return tracing::debug!(%error, "connection not upgraded"),
        };
        let ended = match stream {
            stream if tunnelled => tunnel(&core, socket, stream, running).await,
            PodStream::Exec { stdout, stderr, status } => exec(socket, [stdout, stderr], &status).await,
            PodStream::Forward { pod, cluster, address, ports } => {
                forward(&core, socket, &pod, (&cluster, &address), &ports, running).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "stream ended");
        }
    });
    Ok(response)
}

/// Answers a request for a stream over SPDY.
fn open_spdy(
    core: &Arc<Core>,
    request: &Request,
    stream: PodStream,
    upgraded: OnUpgrade,
    running: watch::Receiver<bool>,
) -> Result<hyper::Response<Payload>, Box<Response>> {
    const VERSION: &str = "x-stream-protocol-version";
    let served = match &stream {
        PodStream::Exec { .. } => "v4.channel.k8s.io",
        PodStream::Forward { .. } => "portforward.k8s.io",
    };
    let offered = request.headers.iter().filter(|(name, _)| name == VERSION);
    let offered: Vec<&str> = offered.flat_map(|(_, value)| value.split(',')).map(str::trim).collect();
    if !offered.contains(&served) {
        // In the words of `Handshake` in `k8s.io/apimachinery/pkg/util/httpstream`.
        let offered = offered.join(" ");
        let why = format!(
            "unable to upgrade: unable to negotiate protocol: client supports [{offered}], server accepts [{served}]"
        );
        return Err(Box::new(refuse(403, &why)));
    }
    let mut response = hyper::Response::new(Payload::Whole(None));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    for (name, value) in [("connection", "Upgrade"), ("upgrade", "SPDY/3.1"), (VERSION, served)] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let core = Arc::clone(core);
    tokio::spawn(async move {
        let ended = match upgraded.await {
            Ok(upgraded) => spdy::serve(&core, TokioIo::new(upgraded), stream, running).await,
            Err(error) => return tracing::debug!(%error, "connection not upgraded"),
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "stream ended");
        }
    });
    Ok(response)
}

/// Carries SPDY's bytes in binary messages, wherever they are cut.
async fn tunnel(
    core: &Arc<Core>,
    socket: Socket,
    stream: PodStream,
    running: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (mut sink, mut source) = socket.split();
    let (near, far) = tokio::io::duplex(PIECE);
    let (mut answers, mut questions) = tokio::io::split(far);
    let served = spdy::serve(core, near, stream, running);
    let inward = async {
        while let Some(message) = source.next().await {
            match message? {
                Message::Binary(bytes) => questions.write_all(&bytes).await?,
                Message::Close(_) => break,
                Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
        questions.shutdown().await?;
        Ok::<_, Error>(())
    };
    let outward = async {
        let mut buffer = vec![0; PIECE];
        loop {
            let read = answers.read(&mut buffer).await?;
            if read == 0 {
                return sink.send(goodbye_message()).await;
            }
            let bytes = buffer.get(..read).unwrap_or_default().to_vec();
            sink.send(Message::binary(bytes)).await?;
        }
    };
    let both = async {
        let (served, outward) = tokio::join!(served, outward);
        if let Err(error) = served {
            tracing::debug!(%error, "stream ended");
        }
        outward
    };
    tokio::pin!(both);
    tokio::select! {
        ended = &mut both => ended,
        ended = inward => {
            ended?;
            both.await
        }
    }
}

/// kubectl takes an end without the normal status for a failure.
fn goodbye_message() -> Message {
    Message::Close(Some(CloseFrame { code: CloseCode::Normal, reason: Utf8Bytes::default() }))
}

fn frame(channel: u8, bytes: &[u8]) -> Message {
    let mut message = Vec::with_capacity(bytes.len() + 1);
    message.push(channel);
    message.extend(bytes);
    Message::binary(message)
}

/// Sends what a program has written, and how it ended.
async fn exec(socket: Socket, output: [Option<Vec<u8>>; 2], status: &Value) -> Result<(), Error> {
    let (mut sink, source) = socket.split();
    let drained = tokio::spawn(drain(source));
    let channels = [STDOUT, STDERR].into_iter().zip(output);
    let written: Vec<(u8, Vec<u8>)> =
        channels.filter_map(|(channel, bytes)| Some((channel, bytes?))).collect();
    // An empty message on the lowest channel says that the stream is up.
    sink.send(frame(written.first().map_or(STATUS, |(channel, _)| *channel), &[])).await?;
    for (channel, bytes) in &written {
        for piece in bytes.chunks(PIECE) {
            sink.send(frame(*channel, piece)).await?;
        }
    }
    sink.send(frame(STATUS, status.to_string().as_bytes())).await?;
    sink.send(goodbye_message()).await?;
    let _ = tokio::time::timeout(GOODBYE, drained).await;
    Ok(())
}

/// Reads, so that a client which writes its program's input does not wait for us.
async fn drain(mut source: SplitStream<Socket>) {
    while let Some(Ok(_)) = source.next().await {}
}

/// Carries bytes between the channels and the ports, until the client or every port has ended.
async fn forward(
    core: &Arc<Core>,
    socket: Socket,
    pod: &str,
    (cluster, address): (&str, &str),
    ports: &[u16],
    running: watch::Receiver<bool>,
) -> Result<(), Error> {
    let (mut sink, mut source) = socket.split();
    let (outgoing, mut messages) = mpsc::channel::<(u8, Vec<u8>)>(32);
    let (mut incoming, mut open) = (Vec::new(), JoinSet::new());
    for (channel, port) in (0u8..).step_by(2).zip(ports) {
        for channel in [channel, channel + 1] {
            sink.send(frame(channel, &port.to_le_bytes())).await?;
        }
        let (sender, receiver) = mpsc::channel::<Bytes>(32);
        incoming.push(sender);
        let (core, running, outgoing) = (Arc::clone(core), running.clone(), outgoing.clone());
        let (address, pod, port) = ((cluster.to_owned(), address.to_owned()), pod.to_owned(), *port);
        open.spawn(async move {
            let wire = zookeeper::Wire { incoming: receiver, outgoing: outgoing.clone(), channel };
            if let Err(why) = zookeeper::serve(&core, (&address.0, &address.1), port, wire, running).await {
                let text = format!("error forwarding port {port} to pod {pod}: {why}");
                let _ = outgoing.send((channel + 1, text.into_bytes())).await;
            }
        });
    }
    drop(outgoing);
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Some((channel, bytes)) => sink.send(frame(channel, &bytes)).await?,
                // Every port has ended.
                None => break,
            },
            message = source.next() => match message {
                Some(Ok(Message::Binary(mut bytes))) if !bytes.is_empty() => {
                    let channel = bytes.split_to(1).first().copied().unwrap_or_default();
                    if let Some(port) = incoming.get(usize::from(channel / 2)).filter(|_| channel % 2 == 0) {
                        // A port that has ended takes no more; the client hears of it by its own means.
                        let _ = port.send(bytes).await;
                    }
                }
                Some(Ok(Message::Close(_))) | None => break,
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
            },
        }
    }
    // Each port hears that its client has gone, and ends its connection.
    drop(incoming);
    drop(messages);
    while open.join_next().await.is_some() {}
    goodbye(sink, source).await
}

async fn goodbye(mut sink: SplitSink<Socket, Message>, source: SplitStream<Socket>) -> Result<(), Error> {
    sink.send(goodbye_message()).await?;
    let _ = tokio::time::timeout(GOODBYE, drain(source)).await;
    Ok(())
}
