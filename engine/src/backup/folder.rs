//! Backups in a directory, a folder each: `ENSEMBLE-TIME` with `manifest.json` and the znodes.

use super::Found;
use super::files::{MANIFEST, checksum, failed, manifest_text, read_znodes, sort, unusable, write_znodes};
use crate::error::{ProviderError, ProviderErrorKind};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use zkprov_plans::backup::{Contents, Manifest, Unusable, ZNODES};

/// What a folder is called while it is written: never taken for a backup.
const PARTIAL: &str = ".partial-";

/// A directory with backups.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
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
        sort(&mut found);
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
            let (file, checksum) = write_znodes(File::create(partial.join(ZNODES))?, contents)?;
            file.sync_all()?;
            manifest.files.insert(ZNODES.to_owned(), checksum);
            let mut file = File::create(partial.join(MANIFEST))?;
            file.write_all(manifest_text(&manifest)?.as_bytes())?;
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
        let broken = |error| unusable(&path.display().to_string(), &error);
        let manifest = read_manifest(path).map_err(broken)?;
        let file = path.join(ZNODES);
        let open = || File::open(&file);
        let place = file.display().to_string();
        let reading = |error| failed(format!("reading {place}"), &error);
        let found = open().and_then(checksum).map_err(reading)?;
        manifest.compare(ZNODES, &found).map_err(broken)?;
        let contents = read_znodes(open().map_err(reading)?, &place)?;
        manifest.compare_counts(&contents).map_err(broken)?;
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
