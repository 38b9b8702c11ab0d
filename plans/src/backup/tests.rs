//! A backup comes back as it was; the difference, when it is carried out, leaves none.

use super::*;
use crate::zookeeper::transaction::{Change, Transaction};
use crate::zookeeper::{Acl, Tree, Zxid};
use proptest::prelude::*;

fn acl(perms: i32) -> Vec<Acl> {
    vec![Acl { perms, scheme: "world".to_owned(), id: "anyone".to_owned() }]
}

struct Server(Tree, i64);

impl Server {
    fn new() -> Self {
        Self(Tree::default(), 0)
    }

    fn does(&mut self, session: i64, change: Change) {
        self.1 += 1;
        self.0.apply(&Transaction { session, zxid: Zxid(self.1), time: self.1, change });
    }

    fn creates(&mut self, path: &str, data: &[u8], perms: i32, ephemeral: bool) {
        let data = Some(data.to_vec());
        let path = path.to_owned();
        self.does(7, Change::Create { path, data, acl: acl(perms), ephemeral, parent_creates: -1 });
    }

    fn deletes(&mut self, path: &str) {
        self.does(7, Change::Delete { path: path.to_owned() });
    }

    /// What the restore does, in its order.
    fn restores(&mut self, difference: &Difference, wanted: &Contents) {
        for path in difference.clear.iter().chain(&difference.delete) {
            self.deletes(path);
        }
        for path in &difference.create {
            let saved = &wanted.znodes[path];
            self.creates(path, saved.data.as_deref().unwrap_or_default(), saved.acl[0].perms, false);
        }
        for path in &difference.data {
            let data = wanted.znodes[path].data.clone();
            self.does(7, Change::SetData { path: path.clone(), data, version: 1 });
        }
        for path in &difference.acl {
            let acl = wanted.znodes[path].acl.clone();
            self.does(7, Change::SetAcl { path: path.clone(), acl, version: 1 });
        }
        for counter in &difference.counters {
            for _ in 0..counter.behind {
                let path = format!("{}/x", counter.path.trim_end_matches('/'));
                self.creates(&path, b"", 31, false);
                self.deletes(&path);
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Create(String, u8, i32, bool),
    Delete(String),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let path = || "(/[ab]){1,3}";
    let step = prop_oneof![
        3 => (path(), any::<u8>(), 1_i32..3, any::<bool>()).prop_map(|(path, data, perms, e)| Step::Create(path, data, perms, e)),
        1 => path().prop_map(Step::Delete),
    ];
    prop::collection::vec(step, 0..40)
}

fn server(steps: &[Step]) -> Server {
    let mut server = Server::new();
    for step in steps {
        match step {
            Step::Create(path, data, perms, ephemeral) => {
                let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
                let parent = server.0.nodes().get(parent);
                if parent.is_none_or(|parent| parent.stat.ephemeral_owner == 0) {
                    server.creates(path, &[*data], *perms, *ephemeral);
                }
            }
            Step::Delete(path) => {
                if server.0.nodes().get(path).is_some_and(|node| node.children.is_empty()) {
                    server.deletes(path);
                }
            }
        }
    }
    server
}

fn read(lines: &[String]) -> Contents {
    let mut contents = Contents::default();
    for (index, line) in lines.iter().enumerate() {
        contents.read_line(index + 1, line).unwrap();
    }
    contents
}

proptest! {
    #[test]
    fn lines_come_back_as_they_were(steps in steps()) {
        let contents = Contents::of(&server(&steps).0);
        let lines: Vec<String> = contents.lines().collect();
        prop_assert_eq!(&read(&lines), &contents);
        prop_assert_eq!(read(&lines).fingerprint(), contents.fingerprint());
    }

    #[test]
    fn the_difference_carried_out_leaves_none(saved in steps(), live in steps()) {
        let wanted = Contents::of(&server(&saved).0);
        let mut server = server(&live);
        let before = server.0.clone();
        let difference = difference(&server.0, &wanted);
        server.restores(&difference, &wanted);
        let after = super::difference(&server.0, &wanted);
        prop_assert!(after.is_empty() && after.counters.is_empty(), "{after:?}");
        for (path, saved) in wanted.znodes.iter().filter(|(path, saved)| !saved.is_ephemeral() && !is_system(path)) {
            let node = &server.0.nodes()[path];
            prop_assert_eq!(node.data.as_deref(), saved.data.as_deref());
            prop_assert_eq!(node.acl.as_deref(), Some(&saved.acl[..]));
            prop_assert!(node.stat.creates >= saved.stat.creates);
        }
        // Ephemeral nodes of living sessions are left alone where nothing else has to be.
        for (path, node) in before.nodes().iter().filter(|(_, node)| node.stat.ephemeral_owner != 0) {
            let touched = difference.clear.contains(path) || difference.delete.contains(path);
            prop_assert!(touched || server.0.nodes().get(path).map(|node| node.stat) == Some(node.stat));
        }
    }

    #[test]
    fn arbitrary_lines_are_refused(line in ".{0,80}") {
        prop_assert!(Contents::default().read_line(1, &line).is_err());
        prop_assert!(Manifest::read(&line).is_err());
    }
}

#[test]
fn a_znode_out_of_place_is_refused() {
    let mut server = Server::new();
    server.creates("/a", b"1", 31, false);
    let lines: Vec<String> = Contents::of(&server.0).lines().collect();
    let of_a = lines.iter().find(|line| line.contains("\"/a\"")).unwrap();
    let refused = Contents::default().read_line(3, of_a).unwrap_err();
    assert!(refused.to_string().starts_with("line 3: \"/a\" is there twice, or before"), "{refused}");
    let mut twice = read(&lines);
    assert!(twice.read_line(9, of_a).is_err());
}

#[test]
fn an_ensemble_with_zookeepers_and_our_own_nodes_alone_is_vacant() {
    let mut server = Server::new();
    assert!(is_vacant(&server.0));
    server.creates("/zkprov", b"", 31, false);
    server.creates("/zkprov/canary", b"", 31, false);
    assert!(is_vacant(&server.0));
    server.creates("/zkprovider", b"", 31, false);
    assert!(!is_vacant(&server.0));
}

#[test]
fn a_manifest_tells_another_format_and_a_changed_file() {
    let contents = Contents::of(&Server::new().0);
    let checksum = Checksum { bytes: 10, sha256: "ab".to_owned() };
    let manifest = Manifest {
        format: FORMAT,
        ensemble: "e".to_owned(),
        time: "2026-01-01T00:00:00Z".to_owned(),
        source: Source { pod: "p".to_owned(), role: "follower".to_owned(), read: String::new() },
        epoch: 1,
        zxid: Zxid(0x1_0000_0002),
        counts: Counts::of(&contents),
        files: [(ZNODES.to_owned(), checksum.clone())].into(),
        zkprov: "0.1.0".to_owned(),
    };
    let text = serde_json::to_string(&manifest).unwrap();
    assert_eq!(Manifest::read(&text).as_ref(), Ok(&manifest));
    let newer = text.replace("\"format\":1", "\"format\":2");
    assert_eq!(
        Manifest::read(&newer).unwrap_err().to_string(),
        "manifest.json: format 2, and this zkprov reads 1"
    );
    assert!(manifest.compare(ZNODES, &checksum).is_ok());
    let cut = Checksum { bytes: 9, ..checksum };
    let refused = manifest.compare(ZNODES, &cut).unwrap_err();
    assert_eq!(refused.to_string(), "znodes.jsonl.gz is not what the manifest says: 9 bytes, not 10");
    assert!(manifest.compare_counts(&Contents::default()).is_err());
}
