//! What people and monitors look at: the status in its forms, and Exhibitor's own page on a loopback port.

use super::bench;
use std::io::{Read, Write};
use std::net::TcpStream;
use zkprov_tests::{Bench, STILL, example};

/// Asks a server of this machine; its whole answer. `{address}` in the headers is the server's.
pub(crate) fn ask(address: &str, line: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(STILL)).unwrap();
    let headers = headers.replace("{address}", address);
    let length = body.len();
    let request =
        format!("{line} HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn an_ensemble_is_watched_by_monitors_and_through_exhibitors_page() {
    let bench = bench();
    bench.tutorial("status --format prometheus").run().exits(0).says(&[
        "zkprov_ensemble_up{ensemble=\"exhibitor\"} 0",
        "zkprov_ensemble_declared{ensemble=\"exhibitor\"} 3",
    ]);
    bench.tutorial("status --check").run().exits(3).says(&["does not exist"]);
    bench.tutorial("ui --no-open --port 0").run().exits(1).complains(&["the cluster does not exist"]);
    bench.apply("tutorial", &[]);
    is_checked(&bench);
    is_measured(&bench);
    shows_its_page(&bench);
}

/// 0 when every declared member serves, 3 when not, 1 when nobody could tell.
fn is_checked(bench: &Bench) {
    bench.tutorial("status --check").run().exits(0).says(&["3 of 3 voters serve"]);
    let five = "status --check --format json --set spec.exhibitor.replicas=5";
    let status = bench.tutorial(five).run().exits(3).json();
    assert_eq!(status["verdict"]["status"], "progressing", "{status:#}");
    assert_eq!(status["disagreements"], serde_json::json!([]), "{status:#}");
    let nowhere = bench.bare("status --check -f").args([example("tutorial/zkprov.yaml")]);
    let nowhere = nowhere.env("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true");
    let nowhere = nowhere.env("CLOUDSDK_API_ENDPOINT_OVERRIDES_CONTAINER", "http://127.0.0.1:9");
    nowhere.run().exits(1).says(&["could not be read"]);
}

fn is_measured(bench: &Bench) {
    let output = bench.tutorial("status --check --format prometheus").run().exits(0);
    let output = output.says(&[
        "zkprov_ensemble_up{ensemble=\"exhibitor\"} 1",
        "zkprov_ensemble_converged{ensemble=\"exhibitor\"} 1",
        "zkprov_ensemble_quorum{ensemble=\"exhibitor\"} 2",
        "zkprov_ensemble_disagreements{ensemble=\"exhibitor\"} 0",
    ]);
    let samples = |name: &str| {
        let of = |line: &&str| line.starts_with(&format!("zkprov_{name}{{"));
        let values = output.out.lines().filter(of).filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<u64>().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(samples("member_serving"), [1, 1, 1]);
    assert_eq!(samples("member_leader").iter().sum::<u64>(), 1);
    for line in output.out.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        assert!(output.out.contains(&format!("# TYPE {name} gauge")), "{line}");
    }
}

#[test]
fn a_watch_shows_each_change_in_place_at_a_terminal() {
    let bench = bench();
    let cloud = bench.serve();
    let file = example("tutorial/zkprov.yaml");
    let zkprov = |line: &str| cloud.to(bench.bare(line)).args(["-f"]).args([&file]);
    let mut piped = zkprov("status --watch").start();
    piped.until("does not exist");
    let line = format!("{} status --watch -f {}", bench.binary().display(), file.display());
    let terminal = cloud.to(bench.program("script")).env("TERM", "xterm");
    let mut drawn = terminal.args(["-qfc", &line, "/dev/null"]).start();
    drawn.until("does not exist");
    zkprov("apply --yes").run().exits(0);
    piped.until("Ensemble exhibitor: serving");
    let line = drawn.until("Ensemble exhibitor: serving");
    assert!(line.contains("A\u{1b}[J"), "{line:?}");
    piped.signal("INT");
    let output = piped.wait().exits(0);
    assert!(!output.out.contains('\u{1b}'), "{output}");
}

fn shows_its_page(bench: &Bench) {
    let mut server = bench.tutorial("ui --no-open --port 0").start();
    let url = server.until("http://127.0.0.1:");
    let address = url.trim().trim_start_matches("http://").split('/').next().unwrap().to_owned();
    let get = |path: &str| ask(&address, &format!("GET {path}"), "Host: {address}\r\n", "");
    let moved = get("/");
    assert!(moved.starts_with("HTTP/1.1 302"), "{moved}");
    assert!(get("/exhibitor/v1/ui/index.html").contains("<title id=\"app-name\">Exhibitor"));
    let list = get("/exhibitor/v1/cluster/list");
    assert_eq!(list.matches("10.8.").count(), 3, "{list}");
    assert!(get("/metrics").starts_with("HTTP/1.1 404"));

    let put = |headers: &str| {
        let headers = format!("{headers}Content-Type: application/json\r\n");
        ask(&address, "PUT /exhibitor/v1/explorer/znode/from-the-page", &headers, "68 69")
    };
    let data = || get("/exhibitor/v1/explorer/node-data?key=/from-the-page");
    for foreign in [
        "Host: {address}\r\nOrigin: https://elsewhere.example\r\n",
        "Host: {address}\r\nSec-Fetch-Site: cross-site\r\n",
        "Host: elsewhere.example\r\n",
    ] {
        let refused = put(foreign);
        assert!(refused.starts_with("HTTP/1.1 403"), "{foreign}: {refused}");
        assert!(data().contains("not found"), "{foreign}");
    }
    let own = put("Host: {address}\r\nOrigin: http://{address}\r\n");
    assert!(own.contains("\"succeeded\":true"), "{own}");
    assert!(data().contains("\"str\":\"hi\""), "{}", data());

    server.signal("INT");
    let output = server.wait().exits(0);
    assert!(output.err.contains("answers"), "{output}");
}
