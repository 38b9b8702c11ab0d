//! Where backups are kept. Each is a manifest and the files it names, in a folder of its own.

use super::bucket::Bucket;
use super::folder::Folder;
use crate::error::ProviderError;
use std::path::PathBuf;
use zkprov_plans::backup::{Contents, Manifest, Unusable};

/// A place of backups.
#[derive(Clone)]
pub enum Place {
    /// A directory.
    Folder(Folder),
    /// A folder of a bucket.
    Bucket(Bucket),
}

/// One folder of a place of backups.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its name.
    pub name: String,
    /// What it says about itself, or why that can't be read.
    pub manifest: Result<Manifest, Unusable>,
}

impl Place {
    /// The backups in a directory, which need not be there yet.
    #[must_use]
    pub fn directory(path: impl Into<PathBuf>) -> Self {
        Self::Folder(Folder::new(path))
    }

    /// Where a backup is: a path, or a URL that begins with `gs://`. Of the empty name: where all of them are.
    #[must_use]
    pub fn of(&self, name: &str) -> String {
        match self {
            Self::Folder(folder) => folder.of(name).display().to_string(),
            Self::Bucket(bucket) => bucket.of(name),
        }
    }

    /// All backups, the oldest first. A directory that is not there has none.
    ///
    /// # Errors
    /// When the place can't be read.
    pub async fn list(&self) -> Result<Vec<Found>, ProviderError> {
        match self {
            Self::Folder(folder) => folder.list(),
            Self::Bucket(bucket) => bucket.list().await,
        }
    }

    /// Writes a backup: it is there as a whole or not at all. Its checksum is added to the manifest.
    ///
    /// # Errors
    /// When it can't be written, or is there already.
    pub async fn write(
        &self,
        name: &str,
        manifest: Manifest,
        contents: &Contents,
    ) -> Result<Manifest, ProviderError> {
        match self {
            Self::Folder(folder) => folder.write(name, manifest, contents),
            Self::Bucket(bucket) => bucket.write(name, manifest, contents).await,
        }
    }

    /// Deletes a backup: first its manifest, so that one that is half deleted is none.
    ///
    /// # Errors
    /// When it can't be deleted.
    pub async fn remove(&self, name: &str) -> Result<(), ProviderError> {
        match self {
            Self::Folder(folder) => folder.remove(name),
            Self::Bucket(bucket) => bucket.remove(name).await,
        }
    }

    /// Reads a whole backup and compares it with its manifest.
    ///
    /// # Errors
    /// When it is not there, cut, or changed.
    pub async fn read(&self, name: &str) -> Result<(Manifest, Contents), ProviderError> {
        match self {
            Self::Folder(folder) => Folder::read(&folder.of(name)),
            Self::Bucket(bucket) => bucket.read(name).await,
        }
    }
}
