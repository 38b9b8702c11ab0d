//! Backups in a directory, a folder each: `ENSEMBLE-TIME` with `manifest.json` and the znodes.

use crate::error::{ProviderError, ProviderErrorKind};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use zkprov_plans::backup::{Checksum, Contents, Manifest, Unusable, ZNODES};

const MANIFEST: &str = "manifest.json";
/// What a folder is called while it is written: never taken for a backup.
const PARTIAL: &str = ".partial-";
/// The longest line of znodes that is read: 16 MB of data, far above what ZooKeeper takes.
const LINE: u64 = 24 << 20;

/// A directory with backups.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

/// One folder of a directory with backups.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// What it says about itself, or why that can't be read.
    pub manifest: Result<Manifest, Unusable>,
}

fn failed(doing: impl Into<String>, error: &io::Error) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, doing, error.to_string())
}

fn unusable(path: &Path, error: &Unusable) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, format!("reading {}", path.display()), error.to_string())
        .hint("`zkprov backup list` shows the others; `zkprov backup verify` tells which are whole")
}

impl Folder {
    /// The backups in a directory, which need not be there yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The folder of a backup.
    #[must_use]
    pub fn of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// All backups, the oldest first. A directory that is not there has none.
    ///
    /// # Errors
    /// When the directory can't be read.
    pub fn list(&self) -> Result<Vec<Found>, ProviderError> {
        let doing = || format!("reading {}", self.path.display());
        let entries = match fs::read_dir(&self.path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(doing(), &error)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|error| failed(doing(), &error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            // What is no backup, and does not look like a damaged one, is somebody's own.
            if name.starts_with(PARTIAL)
                || !entry.path().join(MANIFEST).exists() && !entry.path().join(ZNODES).exists()
            {
                continue;
            }
            let manifest = read_manifest(&entry.path());
            found.push(Found { name, manifest });
        }
        let time =
            |one: &Found| one.manifest.as_ref().map(|manifest| manifest.time.clone()).unwrap_or_default();
        found.sort_by(|one, other| (time(one), &one.name).cmp(&(time(other), &other.name)));
        Ok(found)
    }

    /// Writes a backup: the folder is there as a whole or not at all. Its checksum is added to the manifest.
    ///
    /// # Errors
    /// When it can't be written, or is there already.
    pub fn write(
        &self,
        name: &str,
        mut manifest: Manifest,
        contents: &Contents,
    ) -> Result<Manifest, ProviderError> {
        let (target, partial) = (self.of(name), self.path.join(format!("{PARTIAL}{name}")));
        let doing = || format!("writing {}", target.display());
        if target.exists() {
            return Err(ProviderError::new(ProviderErrorKind::AlreadyExists, doing(), "it is there already"));
        }
        let write = || -> io::Result<Manifest> {
            if partial.exists() {
                fs::remove_dir_all(&partial)?;
            }
            fs::create_dir_all(&partial)?;
            let checksum = write_znodes(&partial.join(ZNODES), contents)?;
            manifest.files.insert(ZNODES.to_owned(), checksum);
            let mut text = serde_json::to_string_pretty(&manifest)?;
            text.push('\n');
            let mut file = File::create(partial.join(MANIFEST))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            File::open(&partial)?.sync_all()?;
            fs::rename(&partial, &target)?;
            File::open(&self.path)?.sync_all()?;
            Ok(manifest)
        };
        write().map_err(|error| failed(doing(), &error))
    }

    /// Deletes a backup: first its manifest, so that one that is half deleted is none.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub fn remove(&self, name: &str) -> Result<(), ProviderError> {
        let path = self.of(name);
        let removed = fs::remove_file(path.join(MANIFEST)).and_then(|()| fs::remove_dir_all(&path));
        removed.map_err(|error| failed(format!("deleting {}", path.display()), &error))
    }

    /// Reads a whole backup and compares it with its manifest.
    ///
    /// # Errors
    /// When it is not there, cut, or changed.
    pub fn read(path: &Path) -> Result<(Manifest, Contents), ProviderError> {
        let manifest = read_manifest(path).map_err(|error| unusable(path, &error))?;
        let file = path.join(ZNODES);
        let checksum =
            checksum(&file).map_err(|error| failed(format!("reading {}", file.display()), &error))?;
        manifest.compare(ZNODES, &checksum).map_err(|error| unusable(path, &error))?;
        let contents = read_znodes(&file)?;
        manifest.compare_counts(&contents).map_err(|error| unusable(path, &error))?;
        Ok((manifest, contents))
    }
}

fn read_manifest(path: &Path) -> Result<Manifest, Unusable> {
    let text = fs::read_to_string(path.join(MANIFEST)).map_err(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Unusable::Missing(MANIFEST.to_owned())
        } else {
            Unusable::Manifest(error.to_string())
        }
    })?;
    Manifest::read(&text)
}

fn write_znodes(path: &Path, contents: &Contents) -> io::Result<Checksum> {
    let mut packed = GzEncoder::new(
        Hashing { file: File::create(path)?, hash: Sha256::new(), bytes: 0 },
        Compression::default(),
    );
    for line in contents.lines() {
        packed.write_all(line.as_bytes())?;
    }
    let written = packed.finish()?;
    written.file.sync_all()?;
    Ok(Checksum { bytes: written.bytes, sha256: digits(written.hash) })
}

fn checksum(path: &Path) -> io::Result<Checksum> {
    let mut hashing = Hashing { file: io::sink(), hash: Sha256::new(), bytes: 0 };
    io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok(Checksum { bytes: hashing.bytes, sha256: digits(hashing.hash) })
}

fn read_znodes(path: &Path) -> Result<Contents, ProviderError> {
    let doing = || format!("reading {}", path.display());
    let file = File::open(path).map_err(|error| failed(doing(), &error))?;
    let mut lines = BufReader::new(GzDecoder::new(BufReader::new(file)));
    let (mut contents, mut number, mut line) = (Contents::default(), 0, String::new());
    loop {
        line.clear();
        let read = (&mut lines).take(LINE).read_line(&mut line).map_err(|error| failed(doing(), &error))?;
        if read == 0 {
            return Ok(contents);
        }
        number += 1;
        contents
            .read_line(number, line.trim_end())
            .map_err(|error| ProviderError::new(ProviderErrorKind::Failed, doing(), error.to_string()))?;
    }
}

/// Writes on, and keeps count.
struct Hashing<W> {
    file: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.hash.update(bytes.get(..written).unwrap_or_default());
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn digits(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
