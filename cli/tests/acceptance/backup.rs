//! Backups of an ensemble's data on the embedded cloud: there and back, damaged ones, a restore that is killed.

use super::bench;
use super::world::{let_the_lock_expire, look, pods};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use zkprov_engine::backup::Folder;
use zkprov_plans::backup::{Contents, Counts, FORMAT, Manifest, Saved, Source};
use zkprov_plans::zookeeper::{Acl, Stat, Zxid};
use zkprov_tests::{Bench, wait_for};

pub(crate) fn acl(perms: i32, scheme: &str, id: &str) -> Acl {
    Acl { perms, scheme: scheme.to_owned(), id: id.to_owned() }
}

pub(crate) fn open() -> Vec<Acl> {
    vec![acl(31, "world", "anyone")]
}

/// A backup as one could have been taken: by path its data, its ACL and how many nodes were ever made below it.
pub(crate) fn backup(bench: &Bench, name: &str, znodes: &[(&str, &[u8], Vec<Acl>, i32)]) -> PathBuf {
    let node = |data: &[u8], acl: &[Acl], creates: i32| Saved {
        data: Some(data.to_vec()),
        acl: acl.to_vec(),
        stat: Stat { creates, czxid: Zxid(1), mzxid: Zxid(1), pzxid: Zxid(1), ..Stat::default() },
    };
    let mut contents = Contents::default();
    for path in ["/", "/zookeeper", "/zookeeper/quota"] {
        contents.znodes.insert(path.to_owned(), node(b"", &open(), 0));
    }
    for (path, data, acl, creates) in znodes {
        contents.znodes.insert((*path).to_owned(), node(data, acl, *creates));
    }
    let manifest = Manifest {
        format: FORMAT,
        ensemble: "exhibitor".to_owned(),
        time: "2026-01-01T00:00:00Z".to_owned(),
        source: Source { pod: "gone".to_owned(), role: "follower".to_owned(), read: String::new() },
        epoch: 0,
        zxid: Zxid(1),
        counts: Counts::of(&contents),
        files: BTreeMap::new(),
        zkprov: "0.1.0".to_owned(),
    };
    let folder = Folder::new(bench.path("made"));
    folder.write(name, manifest, &contents).unwrap();
    folder.of(name)
}

/// What a restore has to bring back: everything but ZooKeeper's own nodes, the ephemeral ones, and the transactions.
pub(crate) fn comparable(backup: &Path) -> BTreeMap<String, (Vec<u8>, Vec<Acl>)> {
    let (_, contents) = Folder::read(backup).unwrap();
    let kept = contents.znodes.into_iter().filter(|(path, _)| !path.starts_with("/zookeeper"));
    kept.map(|(path, saved)| (path, (saved.data.unwrap_or_default(), saved.acl))).collect()
}

pub(crate) fn varied(bench: &Bench) -> PathBuf {
    // The digest of user:secret.
    let owner = acl(31, "digest", "user:5w9W4eL3797Y4Wq8AcKUPPk8ha4=");
    let closed = vec![owner.clone()];
    let bytes: Vec<u8> = (0..=255).collect();
    backup(
        bench,
        "varied",
        &[
            ("/app", b"begin", open(), 6),
            ("/app/binary", &bytes, open(), 0),
            ("/app/closed", b"secret", closed.clone(), 2),
            ("/app/closed/child", b"below", closed, 0),
            ("/app/empty", b"", vec![acl(1, "world", "anyone"), owner], 0),
            ("/app/queue", b"", open(), 57),
            ("/app/queue/n-0000000055", b"55", open(), 0),
            ("/app/queue/n-0000000056", b"56", open(), 0),
            ("/app/\u{2603}", "Zürich".as_bytes(), open(), 0),
        ],
    )
}

/// The backup that a command has just written, by its last line.
fn taken(bench: &Bench) -> PathBuf {
    let output = bench.tutorial("backup --to kept").run().exits(0);
    bench.path(output.out.trim())
}

#[test]
fn data_comes_back_as_it_was() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let varied = varied(&bench);
    refuses_what_is_damaged(&bench, &varied);
    let restore =
        |backup: &Path, args: &str| bench.tutorial(&format!("restore {args} --to kept")).args([backup]);

    let shown = restore(&varied, "--dry-run").run().exits(0);
    shown.says(&[
        "create: 9 znodes",
        "  /app/closed/child",
        "bring the sequence of /app/queue forward by 55",
    ]);
    restore(&varied, "").run().exits(0).says(&["read back as of 0x", "equal to the backup"]);
    restore(&varied, "").run().exits(0).says(&["nothing to do"]);
    let first = taken(&bench);
    assert_eq!(comparable(&first), comparable(&varied));
    let (manifest, contents) = Folder::read(&first).unwrap();
    assert_eq!((manifest.source.role.as_str(), manifest.ensemble.as_str()), ("follower", "exhibitor"));
    assert_eq!(contents.znodes["/app/queue"].stat.creates, 57, "the next one is 57 again");

    let other = backup(&bench, "other", &[("/app", b"end", open(), 1), ("/app/new", b"new", open(), 0)]);
    replaces_only_by_name(&bench, &other);
    let forbidden = restore(&other, "--confirm exhibitor").run().exits(1);
    forbidden.complains(&[
        "deleting /app/closed/child: its ACL, or its parent's, forbids it",
        "--auth digest:FILE",
    ]);
    fs::write(bench.path("who"), "user:secret\n").unwrap();
    restore(&varied, "--confirm exhibitor --auth digest:who").run().exits(0);
    let kept = restore(&other, "--confirm exhibitor --auth digest:who").run().exits(0);
    let before = kept.err.lines().find_map(|line| line.split_once("is kept in ")).unwrap().1.to_owned();
    assert_eq!(comparable(&taken(&bench)), comparable(&other));
    restore(&bench.path(before.trim()), "--confirm exhibitor").run().exits(0);
    assert_eq!(comparable(&taken(&bench)), comparable(&varied));

    looks_after_its_backups(&bench);
}

fn replaces_only_by_name(bench: &Bench, other: &Path) {
    let restore = |args: &str| bench.tutorial(&format!("restore {args} --to kept")).args([other]).run();
    let before = fs::read_dir(bench.path("kept")).unwrap().count();
    restore("")
        .exits(64)
        .complains(&["exhibitor has data, which the restore replaces", "--confirm exhibitor"]);
    restore("--confirm other")
        .exits(3)
        .complains(&["`other` is not the name `exhibitor`; nothing was changed"]);
    let shown = restore("--dry-run").exits(0);
    shown.says(&["create: 1 znodes", "set data: 1 znodes", "delete: 8 znodes", "  /app/queue/n-0000000056"]);
    assert_eq!(fs::read_dir(bench.path("kept")).unwrap().count(), before);
}

/// Before the ensemble is even looked at.
fn refuses_what_is_damaged(bench: &Bench, whole: &Path) {
    let before = bench.inventory();
    let damaged = |name: &str, damage: &dyn Fn(&Path)| {
        let folder = bench.path(name);
        fs::create_dir(&folder).unwrap();
        for file in ["manifest.json", "znodes.jsonl.gz"] {
            fs::copy(whole.join(file), folder.join(file)).unwrap();
        }
        damage(&folder);
        bench.tutorial("restore --confirm exhibitor").args([folder]).run().exits(1)
    };
    let znodes = |folder: &Path| folder.join("znodes.jsonl.gz");
    damaged("changed", &|folder| {
        let mut bytes = fs::read(znodes(folder)).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(znodes(folder), bytes).unwrap();
    })
    .complains(&["znodes.jsonl.gz is not what the manifest says: SHA-256"]);
    damaged("cut", &|folder| {
        let bytes = fs::read(znodes(folder)).unwrap();
        fs::write(znodes(folder), &bytes[..bytes.len() - 7]).unwrap();
    })
    .complains(&["znodes.jsonl.gz is not what the manifest says: ", " bytes, not "]);
    damaged("headless", &|folder| fs::remove_file(folder.join("manifest.json")).unwrap())
        .complains(&["manifest.json is missing"]);
    damaged("newer", &|folder| {
        let text = fs::read_to_string(folder.join("manifest.json")).unwrap();
        fs::write(folder.join("manifest.json"), text.replace("\"format\": 1", "\"format\": 2")).unwrap();
    })
    .complains(&["format 2, and this zkprov reads 1"]);
    assert_eq!(bench.inventory(), before);
}

#[test]
fn a_restore_that_is_killed_goes_on() {
    // So many that the restore goes on for longer than a look at the world takes.
    const MANY: i32 = 600;
    let bench = &bench();
    bench.apply("tutorial", &[]);
    let names: Vec<String> = (0..MANY).map(|number| format!("/many/n{number:04}")).collect();
    let mut znodes = vec![("/many", &b""[..], vec![acl(1, "world", "anyone")], MANY)];
    znodes.extend(names.iter().map(|name| (name.as_str(), name.as_bytes(), open(), 0)));
    let many = backup(bench, "many", &znodes);
    let restore = || {
        let line = "restore --confirm exhibitor --to kept";
        bench.tutorial(line).args([&many])
    };
    let (_, member) = pods(bench).remove(0);
    let mut killed = restore().start();
    killed.until("create: ");
    wait_for("the first znodes", || {
        let world = look(bench);
        let there = names.iter().filter(|name| world.exhibitor.read(&member, name).is_some()).count();
        if there > 0 { Ok(()) } else { Err((there, killed.has_ended())) }
    });
    killed.signal("KILL");
    killed.wait().exits_by_signal();
    let_the_lock_expire(bench);
    restore().run().exits(0).says(&["equal to the backup"]);
    assert_eq!(comparable(&taken(bench)), comparable(&many));
}

fn looks_after_its_backups(bench: &Bench) {
    let list = || bench.tutorial("backup list --to kept --format json").run().exits(0).json();
    let names = |list: &serde_json::Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
    };
    let all = names(&list());
    assert!(all.len() >= 4, "{all:?}");
    let verified = bench.tutorial("backup verify --to kept").run().exits(0);
    assert_eq!(
        verified.out.lines().filter(|line| line.contains("  whole: exhibitor as of 0x")).count(),
        all.len()
    );

    let oldest = bench.path("kept").join(&all[0]);
    fs::write(oldest.join("znodes.jsonl.gz"), b"cut").unwrap();
    let verified = bench.tutorial("backup verify --to kept").run().exits(1);
    verified.says(&[&format!("{}  damaged: znodes.jsonl.gz is not what", all[0])]);

    let newest = &all[all.len() - 2..];
    bench.tutorial("backup prune --keep 2 --dry-run --to kept").run().exits(0).says(&["would delete"]);
    assert_eq!(names(&list()), all);
    bench.tutorial("backup prune --keep 2 --to kept").run().exits(0).says(&["deleted"]);
    assert_eq!(names(&list()), newest);
}
