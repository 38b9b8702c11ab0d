//! `kubectl` as the client: the newest way of its streams, and those of older ones.

use super::support::Bench;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// How a kubectl streams. Up to 1.29 it knows SPDY alone.
const SPDY: bool = false;
const WEBSOCKETS: bool = true;

/// The kubectl that `tests/run` found, or the one that its install script finds.
fn kubectl() -> PathBuf {
    if let Some(path) = std::env::var_os("ZKPROV_KUBECTL") {
        return PathBuf::from(path);
    }
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/install/kubectl.sh");
    let output = Command::new(script).output().unwrap();
    assert!(output.status.success(), "no kubectl: run {script}\n{}", String::from_utf8_lossy(&output.stderr));
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

struct Client {
    directory: tempfile::TempDir,
    path: PathBuf,
}

impl Client {
    fn new(bench: &Bench) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let known = bench.sandbox.endpoints();
        let ca = directory.path().join("ca.pem");
        std::fs::write(&ca, &known.ca_pem).unwrap();
        let config = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, users: [{{name: u, user: {{token: anybody}}}}], contexts: [{{name: c, \
             context: {{cluster: c, user: u}}}}], clusters: [{{name: c, cluster: {{server: 'https://{}', \
             certificate-authority: {}}}}}]}}",
            known.clusters["p/us-east1-d/c"],
            ca.display()
        );
        std::fs::write(directory.path().join("kubeconfig"), config).unwrap();
        Self { directory, path: kubectl() }
    }

    /// Whether it streams over WebSocket where that is not turned off: ports since 1.31.
    fn knows_websockets(&self) -> bool {
        let output = Command::new(&self.path).args(["version", "--client", "-o", "json"]).output().unwrap();
        let version: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let minor = version["clientVersion"]["minor"].as_str().unwrap().trim_end_matches('+');
        minor.parse::<u32>().unwrap() >= 31
    }

    fn command(&self, websockets: bool, words: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(words).env_clear().env("HOME", self.directory.path());
        command.env("KUBECONFIG", self.directory.path().join("kubeconfig"));
        for name in ["KUBECTL_PORT_FORWARD_WEBSOCKETS", "KUBECTL_REMOTE_COMMAND_WEBSOCKETS"] {
            command.env(name, websockets.to_string());
        }
        command
    }

    fn forward(&self, websockets: bool, pod: &str, port: u16) -> Forwarding {
        let mut command = self.command(websockets, &["port-forward", pod, &format!(":{port}")]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        // Forwarding from 127.0.0.1:40123 -> 2181
        let local = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        Forwarding { port: local.unwrap_or_else(|| panic!("{line:?}")), child }
    }
}

struct Forwarding {
    child: Child,
    port: u16,
}

impl Forwarding {
    fn say(&self, word: &str) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(word.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Ends it, and returns what it complained of.
    fn end(mut self) -> String {
        self.child.kill().unwrap();
        let mut complaints = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut complaints).unwrap();
        self.child.wait().unwrap();
        complaints
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kubectl_forwards_ports_over_spdy_and_in_its_tunnel() {
    let bench = Bench::serving(3).await;
    let (pod, _) = bench.pods().await.remove(0);
    let kubectl = Client::new(&bench);
    for websockets in [SPDY, WEBSOCKETS] {
        let forwarding = kubectl.forward(websockets, &pod, 2181);
        // Each connection is a pair of streams in one connection of SPDY.
        for _ in 0..3 {
            assert_eq!(forwarding.say("ruok"), "imok");
            let answer = forwarding.say("srvr");
            assert!(answer.contains("Mode: leader") || answer.contains("Mode: follower"), "{answer}");
        }
        let client = super::client(&[forwarding.port]).await;
        let path = format!("/websockets-{websockets}");
        // More than fits in one frame.
        let data = vec![7; 200_000];
        client.create(&path, &data, super::OPEN).await.unwrap();
        assert_eq!(client.get_data(&path).await.unwrap().0, data);
        drop(client);
        assert_eq!(forwarding.end(), "");
        let log = bench.sandbox.log();
        let asked = log.iter().rev().find(|entry| entry.target.contains("/portforward")).unwrap();
        let tunnelled = websockets && kubectl.knows_websockets();
        assert_eq!(asked.method, if tunnelled { "GET" } else { "POST" });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kubectl_is_told_why_a_port_cannot_be_forwarded() {
    let bench = Bench::serving(1).await;
    let (pod, _) = bench.pods().await.remove(0);
    let client = Client::new(&bench);
    for websockets in [SPDY, WEBSOCKETS] {
        let forwarding = client.forward(websockets, &pod, 9);
        let mut stream = TcpStream::connect(("127.0.0.1", forwarding.port)).unwrap();
        // The end of the connection, in whichever way.
        let _ = stream.read_to_end(&mut Vec::new());
        let complaint = forwarding.end();
        assert!(complaint.contains("connect: connection refused"), "{complaint}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn kubectl_runs_programs_over_spdy() {
    let bench = Bench::serving(1).await;
    let (pod, _) = bench.pods().await.remove(0);
    let client = Client::new(&bench);
    for websockets in [SPDY, WEBSOCKETS] {
        let run =
            |words: &[&str]| client.command(websockets, &[&["exec", &pod], words].concat()).output().unwrap();
        let read = run(&["--", "ls", "/opt/zookeeper/snapshots/version-2"]);
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        assert!(String::from_utf8(read.stdout).unwrap().contains("snapshot.0"));
        let none = run(&["--", "cat", "/nowhere"]);
        assert_eq!(none.status.code(), Some(1));
        let complaint = String::from_utf8(none.stderr).unwrap();
        assert!(complaint.contains("cat: /nowhere: No such file or directory"), "{complaint}");
        assert!(complaint.contains("command terminated with exit code 1"), "{complaint}");
        let with_input = run(&["-i", "--", "ls", "/opt/zookeeper/snapshots"]);
        assert!(with_input.status.success());
    }
}
