//! The state directory: `world.db`, shared by every process that serves it.
//!
//! The world is kept row by row in SQLite (docs/decisions/021-state-by-rows.md), so a request costs what it changes. A file lock is held
//! from reading what other processes have changed until what became of it is stored, so processes take turns by request. What
//! one turn changes is one transaction: a process that is killed leaves the world before or after a request, nothing between.

use crate::api::Time;
use crate::archive::{Archive, Part, Row};
use rusqlite::{Connection, params};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Version of the state that this build reads and writes: SQLite's `user_version`. Version 1 was `world.json`.
const VERSION: u32 = 2;
/// SQLite's `application_id`: "zkpv".
const APPLICATION: u32 = 0x7a6b_7076;
/// The lock, which also marks the directory as a sandbox.
const LOCK: &str = ".zkprov-sandbox.lock";
const WORLD: &str = "world.db";
/// Files that SQLite keeps beside it, and those of former versions.
const BESIDE: &[&str] = &["world.db-wal", "world.db-shm", "world.db-journal", "world.json", "world.json.tmp"];
const FORMER: &str = "world.json";

/// No sync to the disk: a killed process loses nothing by that, and a machine that loses power may lose its last moments.
const SETTINGS: &str = "PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY;";
const TABLES: &str = "
    CREATE TABLE rows (part TEXT NOT NULL, tab TEXT NOT NULL, key TEXT NOT NULL, value TEXT, turn INTEGER NOT NULL,
        PRIMARY KEY (part, tab, key)) WITHOUT ROWID;
    CREATE INDEX rows_by_turn ON rows (turn);
    CREATE TABLE present (world INTEGER NOT NULL, turn INTEGER NOT NULL, anchor INTEGER NOT NULL);
    INSERT INTO present VALUES (1, 0, 0);";
/// Every process that has the state open sees it go: a file that is removed under them would go on for them.
const FORGET: &str =
    "BEGIN; DELETE FROM rows; UPDATE present SET world = world + 1, turn = 0, anchor = 0; COMMIT;";

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

/// What other processes have made of the state since it was last looked at.
#[derive(Debug)]
pub(crate) enum News {
    /// There is no world yet.
    Empty,
    /// Nothing.
    None,
    /// These rows have changed; the wall clock (milliseconds since the Unix epoch) when the world's `now` was true.
    Changed(Vec<(Part, Row)>, u64),
    /// The same, and nothing of what was there before.
    Anew(Vec<(Part, Row)>, u64),
}

/// The rows of parts.
pub(crate) type Changes = Vec<(Part, Vec<Row>)>;

/// A database with what is known of it.
#[derive(Debug)]
struct Database {
    connection: Connection,
    file: u64,
    /// What SQLite said when it was last asked whether others have written.
    version: i64,
    /// Which world was last seen, of those that were begun one after the other here; 0 before any.
    world: i64,
    /// The last turn of it that was seen.
    turn: i64,
}

/// A state directory in use.
#[derive(Debug)]
pub(crate) struct Directory {
    path: PathBuf,
    lock: File,
    database: Arc<Mutex<Option<Database>>>,
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
        Ok(Self { path: path.to_owned(), lock, database: Arc::new(Mutex::new(None)) })
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

    /// Reads parts that are not in memory.
    pub(crate) fn archive(&self) -> Archive {
        let (database, file) = (Arc::clone(&self.database), self.path.join(WORLD));
        Archive::new(move |part| {
            let guard = database.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(database) = guard.as_ref() else { return Ok(Vec::new()) };
            database.part(part).map_err(|error| unreadable(&file, &error).to_string())
        })
    }

    /// What others have changed since the last call; everything at the first. The lock must be held.
    pub(crate) fn news(&mut self) -> Result<News, StoreError> {
        let path = self.path.join(WORLD);
        let Some(file) = check(&self.path)? else {
            *self.database() = None;
            return Ok(News::Empty);
        };
        let mut guard = self.database();
        // Another process may have forgotten the world and begun another.
        if guard.as_ref().is_some_and(|database| database.file != file) {
            *guard = None;
        }
        let database = match guard.as_mut() {
            Some(database) => database,
            None => guard.insert(Database::open(&path, file).map_err(|error| unreadable(&path, &error))?),
        };
        database.news().map_err(|error| unreadable(&path, &error))
    }

    /// Makes an empty state where there is none. The lock must be held.
    pub(crate) fn create(&mut self) -> Result<(), StoreError> {
        if self.database().is_some() {
            return Ok(());
        }
        let path = self.path.join(WORLD);
        // Whole or not there: others take a file without its tables for damaged.
        let temporary = self.path.join("world.db.tmp");
        let _ = fs::remove_file(&temporary);
        let made = Connection::open(&temporary).and_then(|connection| {
            connection.execute_batch(&format!(
                "PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION}; {SETTINGS} BEGIN; {TABLES} COMMIT;"
            ))
        });
        made.map_err(|error| sqlite("create", &temporary, error))?;
        fs::rename(&temporary, &path).map_err(io_error("create", &path))?;
        let file = check(&self.path)?.unwrap_or_default();
        let mut database = Database::open(&path, file).map_err(|error| sqlite("open", &path, error))?;
        database.news().map_err(|error| sqlite("read", &path, error))?;
        *self.database() = Some(database);
        Ok(())
    }

    /// Stores what one turn has changed. `gone` are parts that are there no more. The lock must be held.
    pub(crate) fn store(
        &mut self,
        changes: &Changes,
        gone: impl IntoIterator<Item = Part>,
        anchor: u64,
    ) -> Result<(), StoreError> {
        let path = self.path.join(WORLD);
        let mut guard = self.database();
        let Some(database) = guard.as_mut() else { return Ok(()) };
        database.store(changes, gone, anchor).map_err(|error| sqlite("write", &path, error))
    }

    /// Empties the state, for another world. The lock must be held.
    pub(crate) fn renew(&mut self) -> Result<(), StoreError> {
        let path = self.path.join(WORLD);
        let mut guard = self.database();
        let Some(database) = guard.as_mut() else { return Ok(()) };
        database.connection.execute_batch(FORGET).map_err(|error| sqlite("write", &path, error))?;
        (database.world, database.turn) = (database.world + 1, 0);
        Ok(())
    }

    /// Makes the next [`Self::news`] read everything again.
    pub(crate) fn forget(&mut self) {
        *self.database() = None;
    }

    fn database(&self) -> MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Database {
    fn open(path: &Path, file: u64) -> rusqlite::Result<Self> {
        let connection = Connection::open(path)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.execute_batch(SETTINGS)?;
        Ok(Self { connection, file, version: 0, world: 0, turn: 0 })
    }

    fn news(&mut self) -> rusqlite::Result<News> {
        let version = self.connection.pragma_query_value(None, "data_version", |row| row.get(0))?;
        if self.world > 0 && version == self.version {
            return Ok(News::None);
        }
        let (world, turn, anchor): (i64, i64, i64) =
            self.connection.query_row("SELECT world, turn, anchor FROM present", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
        let since = if world == self.world { self.turn } else { 0 };
        // Clusters and shares are read when a request concerns them. One query for both would read every row of the world.
        let which = if since > 0 { "turn > ?1" } else { "part IN ('head', 'google', 'cells') AND turn > ?1" };
        let rows = {
            let query = format!("SELECT part, tab, key, value FROM rows WHERE {which}");
            let mut statement = self.connection.prepare_cached(&query)?;
            let rows =
                statement.query_map([since], |row| Ok((row.get::<_, String>(0)?, read_row(row, 1)?)))?;
            rows.filter_map(|row| row.map(|(part, row)| Some((Part::parse(&part)?, row))).transpose())
                .collect::<rusqlite::Result<Vec<_>>>()?
        };
        (self.version, self.world, self.turn) = (version, world, turn);
        let anchor = u64::try_from(anchor).unwrap_or(0);
        Ok(match (turn, since) {
            (0, _) => News::Empty,
            (_, 0) => News::Anew(rows, anchor),
            _ => News::Changed(rows, anchor),
        })
    }

    fn part(&self, part: &Part) -> rusqlite::Result<Vec<Row>> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT tab, key, value FROM rows WHERE part = ?1 AND value IS NOT NULL")?;
        let rows = statement.query_map([part.to_string()], |row| read_row(row, 0))?;
        rows.collect()
    }

    fn store(
        &mut self,
        changes: &Changes,
        gone: impl IntoIterator<Item = Part>,
        anchor: u64,
    ) -> rusqlite::Result<()> {
        let turn = self.turn + 1;
        let transaction = self.connection.transaction()?;
        for part in gone {
            transaction.prepare_cached("DELETE FROM rows WHERE part = ?1")?.execute([part.to_string()])?;
        }
        for (part, rows) in changes {
            let name = part.to_string();
            // A cluster or share that has changed is read anew by others: only of what they keep must they hear what is gone.
            let keeps_gone = matches!(part, Part::Google | Part::Cells);
            for Row { table, key, value } in rows {
                if value.is_none() && key.is_empty() && !table.is_empty() {
                    transaction
                        .prepare_cached("DELETE FROM rows WHERE part = ?1 AND tab = ?2")?
                        .execute(params![name, table])?;
                } else if value.is_none() && !keeps_gone {
                    transaction
                        .prepare_cached("DELETE FROM rows WHERE part = ?1 AND tab = ?2 AND key = ?3")?
                        .execute(params![name, table, key])?;
                } else {
                    transaction
                        .prepare_cached("INSERT OR REPLACE INTO rows VALUES (?1, ?2, ?3, ?4, ?5)")?
                        .execute(params![name, table, key, value, turn])?;
                }
            }
        }
        transaction
            .prepare_cached("UPDATE present SET turn = ?1, anchor = ?2")?
            .execute(params![turn, i64::try_from(anchor).unwrap_or(i64::MAX)])?;
        transaction.commit()?;
        self.turn = turn;
        Ok(())
    }
}

fn read_row(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Row> {
    Ok(Row { table: row.get(first)?, key: row.get(first + 1)?, value: row.get(first + 2)? })
}

/// All rows of all parts of a directory, without changing anything; none when there is no state.
pub(crate) fn peek(path: &Path) -> Result<Vec<(Part, Row)>, StoreError> {
    let directory = Directory::open(path)?;
    let _turn = directory.lock()?;
    let file = path.join(WORLD);
    let Some(number) = check(path)? else {
        return Err(io_error("read", &file)(io::Error::from(io::ErrorKind::NotFound)));
    };
    let read = || -> rusqlite::Result<Vec<(Part, Row)>> {
        let database = Database::open(&file, number)?;
        let mut statement =
            database.connection.prepare("SELECT part, tab, key, value FROM rows WHERE value IS NOT NULL")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, read_row(row, 1)?)))?;
        rows.filter_map(|row| row.map(|(part, row)| Some((Part::parse(&part)?, row))).transpose()).collect()
    };
    read().map_err(|error| unreadable(&file, &error))
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
    // A damaged one can only be removed.
    if let Ok(Some(number)) = check(path)
        && let Ok(there) = forget(&path.join(WORLD), number)
    {
        return Ok(there);
    }
    let mut there = false;
    for name in [WORLD].iter().chain(BESIDE) {
        let file = path.join(name);
        match fs::remove_file(&file) {
            Ok(()) => there = true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(source) => return Err(io_error("remove", &file)(source)),
        }
    }
    Ok(there)
}

/// Empties a state; says whether there was a world in it.
fn forget(file: &Path, number: u64) -> rusqlite::Result<bool> {
    let database = Database::open(file, number)?;
    let turn: i64 = database.connection.query_row("SELECT turn FROM present", [], |row| row.get(0))?;
    database.connection.execute_batch(FORGET)?;
    Ok(turn > 0)
}

/// Looks at the head of the state file: a number that tells this file from another, `None` when there is none.
fn check(directory: &Path) -> Result<Option<u64>, StoreError> {
    let path = directory.join(WORLD);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let former = directory.join(FORMER);
            return if former.exists() {
                let problem = "an earlier version of zkprov wrote it".to_owned();
                Err(StoreError::Unreadable { path: former, problem })
            } else {
                Ok(None)
            };
        }
        Err(source) => return Err(io_error("read", &path)(source)),
    };
    let damaged = |problem: &str| StoreError::Unreadable { path: path.clone(), problem: problem.to_owned() };
    let mut head = [0u8; 100];
    file.read_exact(&mut head).map_err(|_| damaged("it is no database"))?;
    // https://www.sqlite.org/fileformat2.html#the_database_header
    let number = |at: usize| {
        head.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
    };
    if !head.starts_with(b"SQLite format 3\0") {
        return Err(damaged("it is no database"));
    }
    if number(68) != APPLICATION {
        return Err(damaged("it was not written by zkprov's sandbox"));
    }
    match number(60) {
        VERSION => {}
        other => {
            return Err(damaged(&format!("its version is {other}; this zkprov reads version {VERSION}")));
        }
    }
    let metadata = file.metadata().map_err(io_error("read", &path))?;
    if !metadata.len().is_multiple_of(512) {
        return Err(damaged("it is cut"));
    }
    #[cfg(unix)]
    let file = std::os::unix::fs::MetadataExt::ino(&metadata);
    #[cfg(not(unix))]
    let file = 0;
    Ok(Some(file))
}

fn is_sandbox(path: &Path) -> Result<bool, StoreError> {
    Ok(path.join(LOCK).exists() || check(path)?.is_some())
}

fn is_empty(path: &Path) -> Result<bool, StoreError> {
    Ok(fs::read_dir(path).map_err(io_error("list", path))?.next().is_none())
}

fn unreadable(path: &Path, error: &rusqlite::Error) -> StoreError {
    StoreError::Unreadable { path: path.to_owned(), problem: format!("it is damaged: {error}") }
}

fn sqlite(action: &'static str, path: &Path, error: rusqlite::Error) -> StoreError {
    io_error(action, path)(io::Error::other(error))
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
