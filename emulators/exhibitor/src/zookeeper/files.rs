//! A server's files in ZooKeeper 3.4's formats, and the few programs that read them in a member's container.

use super::acl::{self, Acl};
use super::jute::Writer;
use super::requests::kind_of;
use crate::config::{DATA_DIRECTORY, LOG_DIRECTORY};
use crate::containers::Exit;
use crate::data::{Data, Operation, Snapshot, Transaction};
use crate::member::Member;
use crate::{Share, Shares};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// Log files are made longer in steps of so many bytes, so that appending does not change their length. ZooKeeper's own
/// default (`preAllocSize`) is 64 MiB.
const PREALLOCATED: usize = 64 << 10;
const FORMAT: i32 = 2;
/// Modes of files in a tar stream.
const FILE_MODE: u32 = 0o644;
const DIRECTORY_MODE: u32 = 0o755;

/// A server's files by absolute path. Snapshots and logs are written out when they are read.
type Files<'m> = BTreeMap<String, File<'m>>;

enum File<'m> {
    Bytes(Vec<u8>),
    Snapshot(&'m Snapshot, &'m Data),
    Log(Vec<&'m Transaction>),
}

impl File<'_> {
    fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Self::Bytes(bytes) => Cow::Borrowed(bytes),
            Self::Snapshot(snapshot, data) => Cow::Owned(snapshot_file(snapshot, data)),
            Self::Log(transactions) => Cow::Owned(log_file(transactions)),
        }
    }
}

impl Shares {
    /// Runs a program in the container of the member at this address: `cat FILE…`, `ls DIR`, and `tar -C DIR -cf - NAME…`. The
    /// files are those of its ZooKeeper.
    #[must_use]
    pub fn run(&self, address: &str, command: &[String]) -> Exit {
        let address = self.host(address);
        let Some(share) = self.share_of(address) else { return missing(command) };
        let files = share.files(address);
        let words: Vec<&str> = command.iter().map(String::as_str).collect();
        match words.as_slice() {
            ["cat", paths @ ..] if !paths.is_empty() => cat(&files, paths),
            ["tar", "-C", directory, "-cf", "-", names @ ..] if !names.is_empty() => {
                let time = share.clock / 1_000;
                tar(&files, directory, names, time).unwrap_or_else(|error| Exit::failed(2, error.to_string()))
            }
            ["ls", directory] => ls(&files, directory),
            ["cat" | "ls" | "tar", ..] => Exit::failed(
                2,
                "the embedded cloud runs cat FILE..., ls DIR and tar -C DIR -cf - NAME... only\n",
            ),
            _ => missing(command),
        }
    }
}

fn missing(command: &[String]) -> Exit {
    let name = command.first().map_or("", String::as_str);
    let why = if name.contains('/') {
        format!("stat {name}: no such file or directory")
    } else {
        "executable file not found in $PATH".to_owned()
    };
    let text = format!(
        "OCI runtime exec failed: exec failed: unable to start container process: exec: {name:?}: {why}: unknown\n"
    );
    Exit::failed(if name.is_empty() { 126 } else { 127 }, text)
}

fn ls(files: &Files<'_>, directory: &str) -> Exit {
    let prefix = format!("{}/", directory.trim_end_matches('/'));
    let mut names: Vec<&str> =
        files.keys().filter_map(|path| path.strip_prefix(&prefix)?.split('/').next()).collect();
    names.dedup();
    if names.is_empty() {
        return Exit::failed(2, format!("ls: cannot access '{directory}': No such file or directory\n"));
    }
    Exit::printed(names.iter().map(|name| format!("{name}\n")).collect::<String>().into_bytes())
}

fn cat(files: &Files<'_>, paths: &[&str]) -> Exit {
    let mut ended = Exit::printed(Vec::new());
    for path in paths {
        if let Some(file) = files.get(*path) {
            ended.stdout.extend_from_slice(&file.bytes());
            continue;
        }
        let directory =
            files.keys().any(|known| known.starts_with(&format!("{}/", path.trim_end_matches('/'))));
        let why = if directory { "Is a directory" } else { "No such file or directory" };
        ended.stderr.push_str(&format!("cat: {path}: {why}\n"));
        ended.code = 1;
    }
    ended
}

fn tar(files: &Files<'_>, directory: &str, names: &[&str], time: u64) -> std::io::Result<Exit> {
    let directory = directory.trim_end_matches('/');
    if !files.keys().any(|path| path.starts_with(&format!("{directory}/"))) {
        return Ok(Exit::failed(2, format!("tar: {directory}: Cannot open: No such file or directory\n")));
    }
    let (mut archive, mut stderr) = (tar::Builder::new(Vec::new()), String::new());
    for name in names {
        let name = name.trim_end_matches('/');
        let root = format!("{directory}/{name}");
        let below: Vec<_> = files.iter().filter(|(path, _)| path.starts_with(&format!("{root}/"))).collect();
        if let Some(file) = files.get(&root) {
            let bytes = file.bytes();
            archive.append_data(&mut header(bytes.len(), false, time), name, &*bytes)?;
        } else if below.is_empty() {
            stderr.push_str(&format!("tar: {name}: Cannot stat: No such file or directory\n"));
        } else {
            archive.append_data(&mut header(0, true, time), format!("{name}/"), std::io::empty())?;
        }
        for (path, file) in below {
            let (relative, bytes) =
                (path.strip_prefix(&format!("{directory}/")).unwrap_or(path), file.bytes());
            archive.append_data(&mut header(bytes.len(), false, time), relative, &*bytes)?;
        }
    }
    let failed = !stderr.is_empty();
    if failed {
        stderr.push_str("tar: Exiting with failure status due to previous errors\n");
    }
    Ok(Exit { stdout: archive.into_inner()?, stderr, code: if failed { 2 } else { 0 } })
}

fn header(length: usize, directory: bool, time: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_size(length as u64);
    header.set_mtime(time);
    header.set_mode(if directory { DIRECTORY_MODE } else { FILE_MODE });
    header.set_entry_type(if directory { tar::EntryType::Directory } else { tar::EntryType::Regular });
    header
}

impl Share {
    /// The files of a member's ZooKeeper, by absolute path.
    fn files(&self, address: &str) -> Files<'_> {
        self.members.get(address).map(Member::files).unwrap_or_default()
    }
}

impl Member {
    fn files(&self) -> Files<'_> {
        let mut files = Files::new();
        let view = self.view();
        let data_directory = view.text(&DATA_DIRECTORY).trim_end_matches('/');
        let log_directory = match view.text(&LOG_DIRECTORY).trim_end_matches('/') {
            "" => data_directory,
            directory => directory,
        };
        if let Some(id) = self.zoo.id {
            files.insert(format!("{data_directory}/myid"), File::Bytes(format!("{id}\n").into_bytes()));
        }
        let Data { epoch, accepted_epoch, snapshot, .. } = &self.data;
        if let Some(snapshot) = snapshot {
            let name = format!("{data_directory}/version-2/snapshot.{:x}", snapshot.zxid);
            files.insert(name, File::Snapshot(snapshot, &self.data));
        }
        // A server that has never been one of several has no epochs.
        if *accepted_epoch > 0 || *epoch > 0 || self.zoo.servers.0.len() > 1 {
            for (name, value) in [("currentEpoch", epoch), ("acceptedEpoch", accepted_epoch)] {
                let file = File::Bytes(value.to_string().into_bytes());
                files.insert(format!("{data_directory}/version-2/{name}"), file);
            }
        }
        for (first, transactions) in log_files(&self.data) {
            files.insert(format!("{log_directory}/version-2/log.{first:x}"), File::Log(transactions));
        }
        files
    }
}

/// A server begins a new log file with each epoch, and after each snapshot.
fn log_files(data: &Data) -> Vec<(u64, Vec<&Transaction>)> {
    let saved = data.snapshot.as_ref().map_or(0, |snapshot| snapshot.zxid);
    let kept: Vec<&Transaction> = data.log.from(&(data.received + 1)).map(|(_, logged)| &**logged).collect();
    let apart = |one: &&Transaction, next: &&Transaction| {
        one.zxid >> 32 == next.zxid >> 32 && (one.zxid <= saved) == (next.zxid <= saved)
    };
    kept.chunk_by(apart).filter_map(|chunk| Some((chunk.first()?.zxid, chunk.to_vec()))).collect()
}

/// A list written out.
fn access(list: &[Acl]) -> &[Acl] {
    static OPEN: LazyLock<Vec<Acl>> = LazyLock::new(acl::open);
    if list.is_empty() { &OPEN } else { list }
}

fn adler32(bytes: &[u8]) -> u64 {
    const MODULUS: u64 = 65_521;
    // Sums of so few bytes stay far below what a u64 holds: to divide at each byte takes several times as long.
    const APART: usize = 1 << 16;
    let (mut low, mut high) = (1, 0);
    for part in bytes.chunks(APART) {
        for byte in part {
            low += u64::from(*byte);
            high += low;
        }
        (low, high) = (low % MODULUS, high % MODULUS);
    }
    (high << 16) | low
}

fn snapshot_file(snapshot: &Snapshot, data: &Data) -> Vec<u8> {
    let nodes = snapshot.tree(&data.nodes);
    let mut file = Writer::default();
    file.0.extend(b"ZKSN");
    file.int(FORMAT).long(-1);
    file.count(snapshot.sessions.len() as u64);
    for (session, timeout) in &snapshot.sessions {
        file.long(*session).count((*timeout).into());
    }
    // Lists are written once, and named by numbers.
    let lists: BTreeSet<&[Acl]> = nodes.iter().map(|(_, node)| access(&node.acl)).collect();
    let lists: BTreeMap<&[Acl], i64> = lists.into_iter().zip(1..).collect();
    file.count(lists.len() as u64);
    for (list, number) in &lists {
        file.long(*number).acl(list);
    }
    for (path, node) in nodes.iter() {
        let list = lists.get(access(&node.acl)).copied().unwrap_or(-1);
        // The root's name is empty here.
        file.string(if path == "/" { "" } else { path }).buffer(&node.data).long(list);
        file.unsigned(node.czxid).unsigned(node.mzxid).unsigned(node.ctime).unsigned(node.mtime);
        file.count(node.version)
            .count(node.cversion)
            .count(node.aversion)
            .long(node.owner)
            .unsigned(node.pzxid);
    }
    file.string("/");
    let checksum = adler32(&file.0);
    file.unsigned(checksum).string("/");
    file.0
}

fn log_file(transactions: &[&Transaction]) -> Vec<u8> {
    let mut file = Writer::default();
    file.0.extend(b"ZKLG");
    file.int(FORMAT).long(0);
    for transaction in transactions {
        let mut entry = Writer::default();
        let Transaction { zxid, time, session, cxid, operation } = transaction;
        entry.long(*session).int(*cxid).unsigned(*zxid).unsigned(*time).int(kind_of(operation));
        write_operation(operation, &mut entry);
        file.unsigned(adler32(&entry.0)).buffer(&entry.0).byte(b'B');
    }
    let length = file.0.len().div_ceil(PREALLOCATED) * PREALLOCATED;
    file.0.resize(length, 0);
    file.0
}

fn write_operation(operation: &Operation, out: &mut Writer) {
    match operation {
        Operation::Create { path, data, acl, ephemeral, parent_cversion } => {
            out.string(path).buffer(data).acl(access(acl)).bool(*ephemeral).count(*parent_cversion);
        }
        Operation::SetData { path, data, version } => {
            out.string(path).buffer(data).count(*version);
        }
        Operation::Delete { path } => {
            out.string(path);
        }
        Operation::SetAcl { path, acl, version } => {
            out.string(path).acl(access(acl)).count(*version);
        }
        Operation::Check { path, version } => {
            out.string(path).int(*version);
        }
        Operation::CreateSession { timeout } => {
            out.count((*timeout).into());
        }
        Operation::CloseSession => {}
        Operation::Multi(operations) => {
            out.count(operations.len() as u64);
            for operation in operations {
                let mut part = Writer::default();
                write_operation(operation, &mut part);
                out.int(kind_of(operation)).buffer(&part.0);
            }
        }
        Operation::Error(code) => {
            out.int(*code);
        }
    }
}
