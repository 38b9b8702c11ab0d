//! What a request costs an ensemble whose three members hold 100,000 znodes each, without sockets and without a store.
//!
//!     cargo bench -p zkprov-sandbox --bench znodes
//!
//! Prints the median and the longest CPU time of each kind of request, the slowest last; fails when one takes longer than
//! 100 ms. `benches/znodes` measures the same through a real client and the state directory.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "what is not there ends the measurement")]
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

#[path = "../tests/exhibitor/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use support::{Lab, SHARE, address};
use zkprov_emulator_common::table::Tables as _;
use zkprov_sandbox::exhibitor::Received;

const FLAT: usize = 50_000;
const DIRECTORIES: usize = 500;
const IN_EACH: usize = 100;
const LIMIT: Duration = Duration::from_millis(100);
const RUNS: usize = 15;

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const EXISTS: i32 = 3;
const GET: i32 = 4;
const SET: i32 = 5;
const CHILDREN: i32 = 12;
const MULTI: i32 = 14;
const CLOSE: i32 = -11;
const EPHEMERAL: i32 = 1;

fn text(text: &str) -> Vec<u8> {
    [&i32::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat()
}

fn create(path: &str, flags: i32) -> Vec<u8> {
    let anyone = [&1_i32.to_be_bytes()[..], &31_i32.to_be_bytes(), &text("world"), &text("anyone")].concat();
    [text(path), text(&"x".repeat(64)), anyone, flags.to_be_bytes().to_vec()].concat()
}

fn multi<'p>(paths: impl Iterator<Item = &'p String>) -> Vec<u8> {
    let part = |kind: i32, done: u8| [&kind.to_be_bytes()[..], &[done], &(-1_i32).to_be_bytes()].concat();
    let parts = paths.flat_map(|path| [part(CREATE, 0), create(path, 0)].concat());
    parts.chain(part(-1, 1)).collect()
}

/// Reads and deletes: the path, and whether to watch or which version.
fn ask(path: &str, rest: &[u8]) -> Vec<u8> {
    [&text(path), rest].concat()
}

/// How long this thread has been on a processor: on a busy machine others take their turns in between. Where the kernel
/// does not say so, how long it has been.
fn busy() -> Duration {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let told = told.and_then(|text| text.split(' ').next()?.parse().ok()).map(Duration::from_nanos);
    told.unwrap_or_else(|| START.elapsed())
}

struct Bench {
    lab: Lab,
    client: u64,
    figures: Vec<(String, Duration, Duration)>,
}

impl Bench {
    fn send(&mut self, client: u64, kind: i32, body: &[u8]) {
        let frame = [&7_i32.to_be_bytes()[..], &kind.to_be_bytes(), body].concat();
        match self.lab.shares.receive(client, &frame, self.lab.now) {
            Received::Answers(frames) | Received::Last(frames) => {
                let code = frames.last().and_then(|frame| frame.get(12..16)).unwrap();
                assert_eq!(code, [0; 4], "request {kind} was refused");
            }
            Received::Later => panic!("a server that hangs"),
        }
    }

    fn connect(&mut self) -> u64 {
        let number = self.lab.ids.number();
        self.lab.shares.connect(&address(1), 2181, number);
        let hello =
            [&[0; 12][..], &30_000_i32.to_be_bytes(), &[0; 8], &16_i32.to_be_bytes(), &[0; 16]].concat();
        assert!(matches!(self.lab.shares.receive(number, &hello, self.lab.now), Received::Answers(_)));
        number
    }

    fn measure(&mut self, name: &str, mut run: impl FnMut(&mut Self, usize)) {
        let mut times: Vec<Duration> = (0..RUNS)
            .map(|number| {
                let began = busy();
                run(self, number);
                busy().saturating_sub(began)
            })
            .collect();
        times.sort();
        self.figures.push((name.to_owned(), times[RUNS / 2], times[RUNS - 1]));
    }

    fn requests(&mut self) {
        let client = self.client;
        self.measure("create among 50,000", |bench, run| {
            bench.send(client, CREATE, &create(&format!("/flat/o{run}"), 0))
        });
        self.measure("create among 100", |bench, run| {
            bench.send(client, CREATE, &create(&format!("/deep/d007/o{run}"), 0))
        });
        self.measure("set", |bench, _| {
            bench.send(client, SET, &[ask("/flat/n000007", &text("y")), vec![255; 4]].concat())
        });
        for path in ["/flat", "/flat/n000007"] {
            self.measure(&format!("get {path}"), |bench, _| bench.send(client, GET, &ask(path, &[0])));
            self.measure(&format!("exists {path}"), |bench, _| bench.send(client, EXISTS, &ask(path, &[0])));
        }
        for path in ["/", "/deep", "/flat"] {
            self.measure(&format!("children of {path}"), |bench, _| {
                bench.send(client, CHILDREN, &ask(path, &[0]))
            });
        }
        self.measure("delete", |bench, run| {
            bench.send(client, DELETE, &ask(&format!("/flat/o{run}"), &[255; 4]))
        });
        self.measure("a transaction of 3", |bench, run| {
            let paths: Vec<String> = (0..3).map(|part| format!("/flat/m{run}-{part}")).collect();
            bench.send(client, MULTI, &multi(paths.iter()));
        });
        self.measure("connect, an ephemeral znode, close", |bench, run| {
            let client = bench.connect();
            bench.send(client, CREATE, &create(&format!("/flat/e{run}"), EPHEMERAL));
            bench.send(client, CLOSE, &[]);
        });
    }

    fn exhibitor(&mut self) {
        for word in ["stat", "ruok", "srvr", "mntr", "conf", "cons", "dump", "wchs"] {
            self.get(&format!("cluster/4ltr/{word}"));
        }
        for path in ["cluster/status", "cluster/state", "cluster/list", "cluster/log", "config/get-state"] {
            self.get(path);
        }
        for path in ["index/get-backups", "index/indexed-logs", "ui/index.html", "explorer/node?key=/"] {
            self.get(path);
        }
        for path in ["explorer/node?key=/flat", "explorer/node?key=/deep", "explorer/node-data?key=/flat"] {
            self.get(path);
        }
        self.get("explorer/usage-listing?request={\"startPath\":\"/\"}");
        self.get("explorer/analyze?request=[{\"path\":\"/flat\",\"max\":1}]");
        self.measure("PUT explorer/znode", |bench, run| {
            let made = bench.rest("PUT", &format!("explorer/znode/flat/p{run}"), b"68 69");
            assert_eq!(made, 200);
        });
        self.measure("DELETE explorer/znode", |bench, run| {
            let gone = bench.rest("DELETE", &format!("explorer/znode/flat/p{run}"), b"");
            assert_eq!(gone, 200);
        });
    }

    /// The status that a request to the first member's Exhibitor is answered with.
    fn rest(&mut self, method: &str, path: &str, body: &[u8]) -> u16 {
        let request = support::request(method, &format!("/exhibitor/v1/{path}"), body);
        let answer = self.lab.send(1, &request);
        assert!(!answer.body.starts_with(b"{\"message\":\"Keeper"), "{path}");
        answer.status
    }

    fn get(&mut self, path: &str) {
        let name = path.split("?request").next().unwrap().to_owned();
        self.measure(&format!("GET {name}"), |bench, _| {
            assert_eq!(bench.rest("GET", path, b""), 200);
        });
    }

    /// Files as a backup reads them.
    fn files(&mut self) {
        let version_2 = |directory: &str| format!("tar -C /opt/zookeeper/{directory} -cf - version-2");
        let (snapshots, log) = (version_2("snapshots"), version_2("transactions"));
        for command in
            ["ls /opt/zookeeper/snapshots/version-2", "cat /opt/zookeeper/snapshots/myid", &snapshots, &log]
        {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            self.measure(command, |bench, _| {
                let ended = bench.lab.shares.run(&address(1), &words);
                assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
                black_box(ended.stdout);
            });
        }
    }

    /// How many rows have changed since this was last asked, as the server around the members stores them.
    fn rows(&mut self) -> usize {
        let (mut rows, share) = (0, self.lab.shares.get_mut(SHARE).expect("the share"));
        share.tables(&mut |_, table| rows += table.changes().expect("JSON").len());
        rows + share.rest().expect("JSON").len().min(1)
    }

    /// What the server around the members does with each request.
    fn around(&mut self) {
        let client = self.client;
        self.measure("copy, create, compare", |bench, run| {
            let before = bench.lab.shares.clone();
            bench.send(client, CREATE, &create(&format!("/flat/c{run}"), 0));
            assert!(before != bench.lab.shares);
        });
        self.measure("copy, read, compare", |bench, _| {
            let before = bench.lab.shares.clone();
            bench.send(client, GET, &ask("/flat/n000007", &[0]));
            assert!(before == bench.lab.shares);
        });
        self.rows();
        self.measure("create, rows to store", |bench, run| {
            bench.send(client, CREATE, &create(&format!("/flat/w{run}"), 0));
            assert!((1..1_000).contains(&bench.rows()));
        });
        self.measure("a minute goes by", |bench, _| bench.lab.advance(60_000));
        self.measure("an empty member joins", |bench, _| {
            bench.lab.stop(3);
            bench.lab.advance(1);
            bench.lab.start(3);
            bench.lab.until(200_000, |lab| lab.shares.healthy_voters(SHARE) == 3);
        });
    }
}

fn main() -> ExitCode {
    let lab = Lab::serving(3);
    let mut bench = Bench { lab, client: 0, figures: Vec::new() };
    bench.client = bench.connect();
    let flat = (0..FLAT).map(|number| format!("/flat/n{number:06}"));
    let deep = (0..DIRECTORIES).flat_map(|directory| {
        let directory = format!("/deep/d{directory:03}");
        let znodes: Vec<String> = (0..IN_EACH).map(|number| format!("{directory}/n{number:03}")).collect();
        std::iter::once(directory).chain(znodes)
    });
    let paths: Vec<String> =
        ["/flat", "/deep"].map(str::to_owned).into_iter().chain(flat).chain(deep).collect();
    let began = Instant::now();
    for batch in paths.chunks(1_000) {
        bench.send(bench.client, MULTI, &multi(batch.iter()));
    }
    println!("{} znodes in each of three members, made in {:.1?}", paths.len(), began.elapsed());
    bench.requests();
    bench.exhibitor();
    bench.files();
    bench.around();
    bench.figures.sort_by_key(|(_, _, longest)| *longest);
    for (name, median, longest) in &bench.figures {
        let missed = if *longest > LIMIT { "  MISSED" } else { "" };
        println!(
            "{name:<64} {:>9.3} ms  longest {:>9.3} ms{missed}",
            median.as_secs_f64() * 1e3,
            longest.as_secs_f64() * 1e3
        );
    }
    let held = bench.figures.iter().all(|(_, _, longest)| *longest <= LIMIT);
    ExitCode::from(u8::from(!held))
}
