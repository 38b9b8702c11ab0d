//! The shell in the documents: the file server's start-up script and the pods' probes.

use serde_json::Value;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use zkprov_plans::document::Desired;

fn text(desired: &Desired, template: &str, pointer: &str) -> Option<String> {
    let document = desired.documents.iter().find(|document| document.template == template)?;
    document.body.pointer(pointer).and_then(Value::as_str).map(str::to_owned)
}

const CONTAINER: &str = "/spec/template/spec/containers/0";

/// A text of the members' container, whatever runs it.
fn of_container(desired: &Desired, pointer: &str) -> String {
    let pointer = format!("{CONTAINER}{pointer}");
    let mut workloads = ["deployment.yaml.j2", "stateful-set.yaml.j2"].into_iter();
    workloads.find_map(|template| text(desired, template, &pointer)).unwrap()
}

fn probe(desired: &Desired) -> String {
    of_container(desired, "/readinessProbe/exec/command/2")
}

fn stop(desired: &Desired) -> String {
    of_container(desired, "/lifecycle/preStop/exec/command/2")
}

/// Every shell text of every example, with a name for messages.
fn scripts() -> Vec<(String, String)> {
    let mut scripts = vec![];
    for (name, sets) in &*crate::EVERY_SET {
        for desired in sets {
            let startup = (0..5).find_map(|index| {
                let key = text(desired, "instance.json.j2", &format!("/metadata/items/{index}/key"))?;
                let value = text(desired, "instance.json.j2", &format!("/metadata/items/{index}/value"))?;
                (key == "startup-script").then_some(value)
            });
            scripts.extend(startup.map(|script| (format!("{name}: start-up script"), script)));
            for (what, script) in [("readiness", probe(desired)), ("stop", stop(desired))] {
                scripts.push((format!("{name}: {what}"), format!("#!/bin/bash\n{script}")));
            }
        }
    }
    scripts
}

fn run(program: &str, args: &[&str], input: &str) -> std::io::Result<Output> {
    let mut command = Command::new(program);
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(input.as_bytes())?;
    child.wait_with_output()
}

#[test]
fn bash_parses_every_script() {
    for (name, script) in scripts() {
        let output = run("bash", &["-n"], &script).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The shellcheck that `tests/run` found, or the one on `PATH`. Without one nothing is checked, unless `CI` is set: there
/// it has to be.
fn shellcheck() -> Option<String> {
    let program = std::env::var("ZKPROV_SHELLCHECK").unwrap_or_else(|_| "shellcheck".to_owned());
    if Command::new(&program).arg("--version").output().is_ok() {
        return Some(program);
    }
    assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
    None
}

#[test]
fn shellcheck_finds_nothing() {
    let Some(shellcheck) = shellcheck() else {
        eprintln!("skipped: shellcheck is not installed");
        return;
    };
    for (name, script) in scripts() {
        let output = run(&shellcheck, &["--shell=bash", "-"], &script).unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// Files below a folder that begin like a shell script.
fn shell_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(shell_files(&entry.path()));
            continue;
        }
        let content = std::fs::read(entry.path()).unwrap_or_default();
        let first = content.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if [&b"#!/usr/bin/env bash"[..], b"#!/bin/bash", b"#!/bin/sh", b"# shellcheck shell=bash"]
            .contains(&first)
        {
            found.push(entry.path());
        }
    }
    found
}

#[test]
fn shellcheck_finds_nothing_in_the_repository() {
    let Some(shellcheck) = shellcheck() else {
        eprintln!("skipped: shellcheck is not installed");
        return;
    };
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = [".ci", "examples", "images", "tests/install", "tests/real"];
    let found = folders.iter().flat_map(|folder| shell_files(&root.join(folder)));
    let scripts: Vec<PathBuf> = found.chain([root.join("tests/run")]).collect();
    assert!(scripts.len() > 15, "only {scripts:?}");
    let output = Command::new(shellcheck)
        .args(["--external-sources", "--source-path=SCRIPTDIR"])
        .args(&scripts)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// Runs the readiness probe against a ZooKeeper that gives this answer to `srvr`, in a pod that sees this size and
/// this shared configuration, and where Exhibitor has given it a port that the pod does not know of (or none yet).
fn ready(answer: Option<&str>, size: &str, properties: &str) -> bool {
    let verdicts = [false, true].map(|moved| is_ready(answer, size, properties, moved));
    assert_eq!(verdicts[0], verdicts[1], "with another port");
    verdicts[0]
}

fn is_ready(answer: Option<&str>, size: &str, properties: &str, moved: bool) -> bool {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("size"), size).unwrap();
    std::fs::write(folder.path().join("exhibitor.properties"), properties).unwrap();
    let here = folder.path().to_str().unwrap();
    let mut script = probe(crate::any_set());
    for path in ["/etc/ensemble", "/opt/zookeeper/local_configs", "/opt/zookeeper/conf"] {
        assert!(script.contains(path), "the probe no longer reads {path}");
        script = script.replace(path, here);
    }

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut port = listener.local_addr().unwrap().port().to_string();
    if moved {
        std::fs::write(folder.path().join("zoo.cfg"), format!("tickTime=2000\nclientPort={port}\n")).unwrap();
        // Nobody listens there.
        port = "1".to_owned();
    }
    let answer = answer.map(str::to_owned);
    let server = std::thread::spawn(move || {
        // Without an answer the listener goes at once, and the port is closed.
        let Some(answer) = answer else { return };
        let (mut client, _) = listener.accept().unwrap();
        let mut word = [0; 4];
        client.read_exact(&mut word).unwrap();
        assert_eq!(&word, b"srvr");
        client.write_all(answer.as_bytes()).unwrap();
    });
    let output = Command::new("bash")
        .args(["-c", &script, "readiness", &port])
        .env("HOSTNAME", "198.18.0.11")
        .output()
        .unwrap();
    server.join().unwrap();
    output.status.success()
}

#[test]
fn only_a_member_of_the_ensemble_is_ready() {
    let srvr = |mode: &str| {
        format!("Zookeeper version: 3.4.6\nLatency min/avg/max: 0/0/0\nMode: {mode}\nNode count: 4\n")
    };
    let ours =
        "com.netflix.exhibitor-rolling.servers-spec=\ncom.netflix.exhibitor.servers-spec=1\\:198.18.0.11\n";
    let forming = "com.netflix.exhibitor.servers-spec=\n";
    let three = "com.netflix.exhibitor.servers-spec=1\\:198.18.0.11,2\\:198.18.0.12,3\\:198.18.0.13\n";
    let another = "com.netflix.exhibitor.servers-spec=2\\:198.18.0.12\n";
    let longer = "com.netflix.exhibitor.servers-spec=1\\:198.18.0.110\n";
    for mode in ["leader", "follower", "observer"] {
        assert!(ready(Some(&srvr(mode)), "3", three), "{mode}");
    }
    assert!(ready(Some(&srvr("standalone")), "1", ours));
    // Not joined yet, or the size has grown and nothing has formed; left behind after shrinking to one.
    assert!(!ready(Some(&srvr("standalone")), "3", ours));
    for properties in [forming, three, another, longer, ""] {
        assert!(!ready(Some(&srvr("standalone")), "1", properties), "{properties}");
    }
    assert!(!ready(Some("This ZooKeeper instance is not currently serving requests\n"), "3", three));
    assert!(!ready(Some(""), "3", three));
    assert!(!ready(None, "3", three));
}

/// Answers like Exhibitor, one request a connection, until it is told to shut down; gives back the paths asked for.
fn exhibitor(listener: &TcpListener, mut stop_zookeeper: impl FnMut()) -> Vec<String> {
    let mut paths = vec![];
    loop {
        let (mut client, _) = listener.accept().unwrap();
        let mut request = vec![];
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            client.read_exact(&mut byte).unwrap();
            request.extend(byte);
        }
        let request = String::from_utf8(request).unwrap();
        let path = request.strip_prefix("GET ").unwrap().split(' ').next().unwrap().to_owned();
        client.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        let done = path.ends_with("ui/shutdown");
        if path.ends_with("cluster/stop") {
            stop_zookeeper();
        }
        paths.push(path);
        if done {
            return paths;
        }
    }
}

#[test]
fn a_member_stops_zookeeper_before_exhibitor() {
    let (zookeeper, api) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
    let ports = [&zookeeper, &api].map(|listener| listener.local_addr().unwrap().port().to_string());
    let mut zookeeper = Some(zookeeper);
    let server = std::thread::spawn(move || exhibitor(&api, || drop(zookeeper.take())));
    let output = Command::new("bash")
        .args(["-c", &stop(crate::any_set()), "stop", &ports[0], &ports[1]])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let expected = ["cluster/set/restarts/false", "cluster/stop", "ui/shutdown"];
    assert_eq!(server.join().unwrap(), expected.map(|path| format!("/exhibitor/v1/{path}")));
}

/// Exhibitor is gone already: nothing to stop, and no error that would show as a failed hook.
#[test]
fn stopping_without_exhibitor_is_quiet() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    drop(listener);
    let output =
        Command::new("bash").args(["-c", &stop(crate::any_set()), "stop", &port, &port]).output().unwrap();
    assert!(output.status.success());
}
