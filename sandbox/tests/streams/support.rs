//! A cluster with members in it, and WebSocket streams into its pods.

use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};
use zkprov_sandbox::server::{Options, Running, start};

pub(crate) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Far more time than a client needs on the busiest machine.
const STILL: Duration = Duration::from_secs(600);
const PODS: &str = "/api/v1/namespaces/default/pods";

/// A sandbox with one cluster and a Deployment of members.
pub(crate) struct Bench {
    pub(crate) sandbox: Running,
    endpoint: String,
    tls: TlsConnector,
}

/// What a program left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) status: Value,
}

impl Bench {
    /// An ensemble of so many members that serves.
    pub(crate) async fn serving(members: usize) -> Arc<Self> {
        let sandbox = start(Options::default()).await.unwrap();
        let clusters = "/v1/projects/p/locations/us-east1-d/clusters";
        let body = r#"{"cluster":{"name":"c","initialNodeCount":3}}"#;
        let base = sandbox.container.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(base).await.unwrap();
        assert_eq!(ask(stream, "POST", clusters, body).await.0, 200);
        sandbox.advance(Duration::from_secs(1200)).unwrap();
        let known = sandbox.endpoints();
        let endpoint = known.clusters["p/us-east1-d/c"].clone();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(known.ca_pem.as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let bench = Self { sandbox, endpoint, tls: TlsConnector::from(Arc::new(config)) };
        bench.call("POST", "/apis/apps/v1/namespaces/default/deployments", &deployment(members)).await;
        // Automatic management forms the ensemble, a member every minute or two.
        bench.until(|bench| bench.modes().iter().filter(|mode| mode.is_some()).count() == members).await;
        Arc::new(bench)
    }

    async fn connect(&self) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(&self.endpoint).await.unwrap();
        self.tls.connect(ServerName::try_from("127.0.0.1").unwrap(), stream).await.unwrap()
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (code, answer) = ask(self.connect().await, method, path, &body.to_string()).await;
        assert!(code < 300, "{code} {answer}");
        answer
    }

    /// Asks the sandbox itself; the code and the body of its answer.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let base = self.sandbox.compute.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(base).await.unwrap();
        ask(stream, method, &format!("/_sandbox/{path}"), &body.to_string()).await
    }

    /// Lets virtual time go by until something holds. After 2,000 virtual seconds it is up to the clients alone, which do what they
    /// do in real time and need a processor for it.
    pub(crate) async fn until(&self, holds: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        for second in 0.. {
            if holds(self) {
                return;
            }
            if second < 2_000 {
                self.sandbox.advance(Duration::from_secs(1)).unwrap();
            }
            assert!(begun.elapsed() < STILL, "it never came true: {:?}", self.modes());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Names and addresses of the pods.
    pub(crate) async fn pods(&self) -> Vec<(String, String)> {
        let list = self.call("GET", PODS, &json!({})).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let pods = list["items"].as_array().unwrap().iter();
        pods.map(|pod| (text(&pod["metadata"]["name"]), text(&pod["status"]["podIP"]))).collect()
    }

    /// What each member of the ensemble's list is.
    pub(crate) fn modes(&self) -> Vec<Option<&'static str>> {
        let world = self.sandbox.world().unwrap();
        let share = world.exhibitor.keys().next().cloned().unwrap_or_default();
        let text = world.exhibitor.properties(&share).unwrap_or_default().to_owned();
        let line = text.lines().find(|line| line.contains("servers-spec=")).unwrap_or_default();
        let spec = line.split_once('=').map_or("", |(_, spec)| spec).replace("\\:", ":");
        let hosts = spec.split(',').filter_map(|entry| Some(entry.split_once(':')?.1.to_owned()));
        let hosts: Vec<String> = hosts.collect();
        // Alone in the list a server serves alone; in a longer one it has not heard of the others yet.
        let joined = |mode: &&str| *mode != "standalone" || hosts.len() == 1;
        hosts.iter().map(|host| world.exhibitor.mode(host).filter(joined)).collect()
    }

    /// Opens a stream into a pod; the status and message of the refusal otherwise.
    pub(crate) async fn stream(
        &self,
        target: &str,
        protocols: &str,
    ) -> Result<(Socket, String), (u16, String)> {
        let url = format!("wss://{}{PODS}/{target}", self.endpoint);
        let mut request = url.into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", protocols.parse().unwrap());
        match client_async(request, self.connect().await).await {
            Ok((socket, response)) => {
                let chosen = response.headers()["sec-websocket-protocol"].to_str().unwrap().to_owned();
                Ok((socket, chosen))
            }
            Err(Error::Http(response)) => {
                let body = response.body().clone().unwrap_or_default();
                Err((response.status().as_u16(), String::from_utf8(body).unwrap()))
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Runs a program in a pod.
    pub(crate) async fn exec(&self, pod: &str, command: &[&str]) -> Ended {
        let words: String =
            command.iter().map(|word| format!("&command={}", word.replace('/', "%2F"))).collect();
        let target = format!("{pod}/exec?stdout=true&stderr=true{words}");
        let (mut socket, chosen) =
            self.stream(&target, "v5.channel.k8s.io, v4.channel.k8s.io").await.unwrap();
        assert_eq!(chosen, "v5.channel.k8s.io");
        let mut channels = [Vec::new(), Vec::new(), Vec::new(), Vec::new()];
        let end = loop {
            let message = socket.next().await.unwrap().unwrap();
            let Message::Binary(bytes) = message else { break message };
            channels[usize::from(bytes[0])].extend_from_slice(&bytes[1..]);
        };
        let Message::Close(Some(end)) = end else { panic!("{end}") };
        assert_eq!(u16::from(end.code), 1000, "kubectl takes any other end for a failure");
        let [_, stdout, stderr, status] = channels;
        let status = serde_json::from_slice(&status).unwrap();
        Ended { stdout, stderr: String::from_utf8(stderr).unwrap(), status }
    }

    /// Sends bytes to a port in a pod, and returns everything it answers until it ends.
    pub(crate) async fn say(&self, pod: &str, bytes: &[u8]) -> Vec<u8> {
        let target = format!("{pod}/portforward?ports=2181");
        let (mut socket, _) = self.stream(&target, "v4.channel.k8s.io").await.unwrap();
        socket.send(Message::binary([&[0], bytes].concat())).await.unwrap();
        let mut answer = Vec::new();
        while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
            if bytes[0] == 0 {
                answer.extend_from_slice(&bytes[1..]);
            }
        }
        // The first frame of the channel is the port.
        assert_eq!(answer[..2], 2181u16.to_le_bytes());
        answer.split_off(2)
    }

    /// A port of this machine that leads to a pod's ZooKeeper; each connection is a stream of its own.
    pub(crate) async fn forward(self: &Arc<Self>, pod: &str) -> u16 {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (bench, pod) = (Arc::clone(self), pod.to_owned());
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let target = format!("{pod}/portforward?ports=2181");
                if let Ok((socket, _)) = bench.stream(&target, "v4.channel.k8s.io").await {
                    tokio::spawn(bridge(client, socket));
                }
            }
        });
        port
    }
}

async fn bridge(client: TcpStream, socket: Socket) {
    let (mut reader, mut writer) = client.into_split();
    let (mut sink, mut source) = socket.split();
    let mut greeted = false;
    let mut bytes = vec![0; 4096];
    loop {
        tokio::select! {
            read = reader.read(&mut bytes) => match read {
                Ok(length) if length > 0 => {
                    let message = [&[0], &bytes[..length]].concat();
                    if sink.send(Message::binary(message)).await.is_err() { break }
                }
                Ok(_) | Err(_) => break,
            },
            message = source.next() => match message {
                Some(Ok(Message::Binary(message))) if message[0] == 0 => {
                    if std::mem::replace(&mut greeted, true) && writer.write_all(&message[1..]).await.is_err() { break }
                }
                Some(Ok(Message::Binary(_))) => {}
                _ => break,
            },
        }
    }
    let _ = sink.send(Message::Close(None)).await;
}

fn deployment(replicas: usize) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "exhibitor"}, "spec": {
        "replicas": replicas, "selector": {"matchLabels": {"run": "exhibitor"}}, "template": {
            "metadata": {"labels": {"run": "exhibitor"}}, "spec": {
                "containers": [{"name": "exhibitor", "image": "mbabineau/zookeeper-exhibitor",
                    "ports": [{"name": "zk", "containerPort": 2181}, {"name": "api", "containerPort": 8181}],
                    "env": [{"name": "HOSTNAME", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                        {"name": "ZK_ENSEMBLE_SIZE", "value": replicas.to_string()},
                        {"name": "EXHIBITOR_CHECK_MS", "value": "1000"},
                        {"name": "EXHIBITOR_CONFIG_CHECK_MS", "value": "1000"}],
                    "volumeMounts": [{"name": "nfs", "mountPath": "/opt/zookeeper/local_configs"}]}],
                "volumes": [{"name": "nfs", "nfs": {"server": "files", "path": "/data"}}]}}}})
}

async fn ask<S>(mut stream: S, method: &str, path: &str, body: &str) -> (u16, Value)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: api\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    // Some servers end without TLS's goodbye.
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let code = head.split(' ').nth(1).unwrap().parse().unwrap();
    (code, serde_json::from_str(body).unwrap_or(Value::Null))
}
