//! The state directory: `world.json`, shared by every process that serves it.
//!
//! A file lock is held from reading the world until what became of it is stored, so processes take turns by request.
//! The file is replaced by a rename: a process that is killed leaves the world before or after a request, nothing between.

use crate::api::Time;
use crate::world::World;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the state file that this build reads and writes.
const VERSION: u32 = 1;
const FORMAT: &str = "zkprov-sandbox";
/// The lock, which also marks the directory as a sandbox.
const LOCK: &str = ".zkprov-sandbox.lock";
const WORLD: &str = "world.json";

/// Why the state can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file could not be read or written.
    #[error("sandbox state {path}: cannot {action}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The directory holds something else.
    #[error("{path} is not empty and is not a sandbox; name an empty or a new directory")]
    NotASandbox {
        /// The directory.
        path: PathBuf,
    },
    /// The state file is damaged or not ours. It is left as it is.
    #[error(
        "sandbox state {path} cannot be read: {problem}; it was left as it is: move it away, or start anew with \
         `zkprov sandbox reset`"
    )]
    Unreadable {
        /// The state file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}

/// What the state file says about itself; read before the world, so that a foreign file is told from a damaged one.
#[derive(Debug, Deserialize)]
struct Header {
    format: Option<String>,
    version: Option<u32>,
}

#[derive(Debug, Serialize)]
struct StateRef<'a> {
    format: &'a str,
    version: u32,
    anchor: u64,
    world: &'a World,
}

#[derive(Debug, Deserialize)]
struct State {
    anchor: u64,
    world: World,
}

/// A world as it was stored, and the wall clock (milliseconds since the Unix epoch) when its `now` was true.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) world: World,
    pub(crate) anchor: u64,
}

/// Tells one version of the file from another without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        Self { length: metadata.len(), modified: metadata.modified().ok(), inode }
    }
}

/// A state directory in use.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
    /// The version of the file that the caller's copy is.
    known: Option<Stamp>,
}

/// Holds the file lock until dropped.
#[derive(Debug)]
pub(crate) struct Locked {
    lock: File,
}

impl Drop for Locked {
    fn drop(&mut self) {
        // The lock is released with the handle at the latest.
        let _ = self.lock.unlock();
    }
}

impl Directory {
    /// Opens a state directory, making it when it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        if !is_sandbox(path)? && !is_empty(path)? {
            return Err(StoreError::NotASandbox { path: path.to_owned() });
        }
        let lock_path = path.join(LOCK);
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&lock_path)
            .map_err(io_error("open", &lock_path))?;
        Ok(Self { path: path.to_owned(), lock, known: None })
    }

    /// Where the directory is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Waits for the other processes' turn to end.
    pub(crate) fn lock(&self) -> Result<Locked, StoreError> {
        let lock = self.lock.try_clone().map_err(io_error("lock", &self.path))?;
        lock.lock().map_err(io_error("lock", &self.path))?;
        Ok(Locked { lock })
    }

    /// The stored world if it is not the version the caller has already; `Ok(None)` when it is. A missing file gives
    /// `fresh()`.
    pub(crate) fn load(&mut self, fresh: impl FnOnce() -> Stored) -> Result<Option<Stored>, StoreError> {
        let path = self.path.join(WORLD);
        let stamp = match fs::metadata(&path) {
            Ok(metadata) => Stamp::of(&metadata),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let stored = fresh();
                self.store(&stored.world, stored.anchor)?;
                return Ok(Some(stored));
            }
            Err(source) => return Err(io_error("read", &path)(source)),
        };
        if self.known == Some(stamp) {
            return Ok(None);
        }
        let text = fs::read(&path).map_err(io_error("read", &path))?;
        let stored = decode(&text).map_err(|problem| StoreError::Unreadable { path, problem })?;
        self.known = Some(stamp);
        Ok(Some(stored))
    }

    /// Replaces the stored world. The rename makes it whole for every reader; no sync to the disk: a killed process
    /// loses nothing by that, and a machine that loses power may lose its last moments.
    pub(crate) fn store(&mut self, world: &World, anchor: u64) -> Result<(), StoreError> {
        let (path, temporary) = (self.path.join(WORLD), self.path.join("world.json.tmp"));
        let state = StateRef { format: FORMAT, version: VERSION, anchor, world };
        let text =
            serde_json::to_vec(&state).map_err(|error| io_error("encode", &path)(io::Error::other(error)))?;
        fs::write(&temporary, text).map_err(io_error("write", &temporary))?;
        fs::rename(&temporary, &path).map_err(io_error("replace", &path))?;
        self.known = fs::metadata(&path).ok().map(|metadata| Stamp::of(&metadata));
        Ok(())
    }

    /// Makes the next [`Self::load`] read the file again.
    pub(crate) fn forget(&mut self) {
        self.known = None;
    }
}

/// Reads the world of a directory without changing anything.
pub(crate) fn peek(path: &Path) -> Result<World, StoreError> {
    let file = path.join(WORLD);
    let text = fs::read(&file).map_err(io_error("read", &file))?;
    decode(&text).map(|stored| stored.world).map_err(|problem| StoreError::Unreadable { path: file, problem })
}

/// Removes the world of a directory, damaged or not; whatever else is there stays. Returns whether there was one.
pub(crate) fn remove(path: &Path) -> Result<bool, StoreError> {
    if !path.exists() {
        return Ok(false);
    }
    if !is_sandbox(path)? && !is_empty(path)? {
        return Err(StoreError::NotASandbox { path: path.to_owned() });
    }
    let directory = Directory::open(path)?;
    let _turn = directory.lock()?;
    let file = path.join(WORLD);
    match fs::remove_file(&file) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io_error("remove", &file)(source)),
    }
}

fn decode(text: &[u8]) -> Result<Stored, String> {
    let header: Header =
        serde_json::from_slice(text).map_err(|error| format!("not a state file: {error}"))?;
    if header.format.as_deref() != Some(FORMAT) {
        return Err("it was not written by zkprov's sandbox".to_owned());
    }
    match header.version {
        Some(VERSION) => {}
        Some(other) => return Err(format!("its version is {other}; this zkprov reads version {VERSION}")),
        None => return Err("it has no version".to_owned()),
    }
    let state: State = serde_json::from_slice(text).map_err(|error| format!("it is damaged: {error}"))?;
    Ok(Stored { world: state.world, anchor: state.anchor })
}

fn is_sandbox(path: &Path) -> Result<bool, StoreError> {
    if path.join(LOCK).exists() {
        return Ok(true);
    }
    let file = path.join(WORLD);
    match fs::read(&file) {
        Ok(text) => Ok(serde_json::from_slice::<Header>(&text)
            .is_ok_and(|header| header.format.as_deref() == Some(FORMAT))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(io_error("read", &file)(source)),
    }
}

fn is_empty(path: &Path) -> Result<bool, StoreError> {
    Ok(fs::read_dir(path).map_err(io_error("list", path))?.next().is_none())
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { action, path, source }
}

/// The wall clock, in milliseconds since the Unix epoch.
pub(crate) fn wall() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
