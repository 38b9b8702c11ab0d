//! Backups in a bucket of Cloud Storage: `ENSEMBLE-TIME/manifest.json` and the znodes beside it.
//!
//! A bucket knows no rename, so the manifest is written last and deleted first: without it there is no backup.

use super::Found;
use super::files::{MANIFEST, checksum, failed, manifest_text, read_znodes, sort, unusable, write_znodes};
use crate::error::ProviderError;
use crate::providers::storage::{Object, Storage};
use futures::future::try_join_all;
use std::sync::Arc;
use zkprov_plans::backup::{BucketUrl, Contents, Manifest, Unusable, ZNODES};

/// The longest manifest that is read.
const MANIFEST_LIMIT: u64 = 1 << 20;

/// A folder of a bucket with backups.
#[derive(Clone)]
pub struct Bucket {
    storage: Arc<Storage>,
    url: BucketUrl,
}

impl Bucket {
    /// The backups in a bucket, which has to be there.
    pub(crate) fn new(storage: Storage, url: BucketUrl) -> Self {
        Self { storage: Arc::new(storage), url }
    }

    /// Where a backup is.
    pub(super) fn of(&self, name: &str) -> String {
        format!("{}/{name}", self.url)
    }

    pub(super) async fn list(&self) -> Result<Vec<Found>, ProviderError> {
        let folder = self.url.object("");
        let names = self.storage.folders(&self.url.bucket, &folder).await?;
        let found = try_join_all(names.into_iter().map(|name| self.look(name))).await?;
        let mut found: Vec<Found> = found.into_iter().flatten().collect();
        sort(&mut found);
        Ok(found)
    }

    /// What a folder is; `None` when it is somebody's own.
    async fn look(&self, name: String) -> Result<Option<Found>, ProviderError> {
        let manifest = match self.manifest(&name).await? {
            Err(Unusable::Missing(_)) => {
                let znodes = self.path(&name, ZNODES);
                if !self.storage.exists(self.object(&znodes)).await? {
                    return Ok(None);
                }
                Err(Unusable::Unfinished)
            }
            manifest => manifest,
        };
        Ok(Some(Found { name, manifest }))
    }

    pub(super) async fn write(
        &self,
        name: &str,
        mut manifest: Manifest,
        contents: &Contents,
    ) -> Result<Manifest, ProviderError> {
        let packing = |error| failed(format!("writing {}", self.of(name)), &error);
        let (znodes, checksum) = write_znodes(Vec::new(), contents).map_err(packing)?;
        manifest.files.insert(ZNODES.to_owned(), checksum);
        let text = manifest_text(&manifest).map_err(packing)?;
        let path = self.path(name, ZNODES);
        self.storage.create(self.object(&path), "application/gzip", znodes).await?;
        let path = self.path(name, MANIFEST);
        self.storage.create(self.object(&path), "application/json", text.into_bytes()).await?;
        Ok(manifest)
    }

    pub(super) async fn remove(&self, name: &str) -> Result<(), ProviderError> {
        for file in [MANIFEST, ZNODES] {
            let path = self.path(name, file);
            self.storage.delete(self.object(&path)).await?;
        }
        Ok(())
    }

    pub(super) async fn read(&self, name: &str) -> Result<(Manifest, Contents), ProviderError> {
        let broken = |error| unusable(&self.of(name), &error);
        let manifest = self.manifest(name).await?.map_err(broken)?;
        let limit = manifest.files.get(ZNODES).map_or(0, |file| file.bytes);
        let path = self.path(name, ZNODES);
        let znodes = self.storage.read(self.object(&path), limit).await?;
        let znodes = znodes.ok_or_else(|| broken(Unusable::Missing(ZNODES.to_owned())))?;
        let found = checksum(znodes.as_slice()).map_err(|error| failed(format!("reading {path}"), &error))?;
        manifest.compare(ZNODES, &found).map_err(broken)?;
        let contents = read_znodes(znodes.as_slice(), &format!("{}/{ZNODES}", self.of(name)))?;
        manifest.compare_counts(&contents).map_err(broken)?;
        Ok((manifest, contents))
    }

    async fn manifest(&self, name: &str) -> Result<Result<Manifest, Unusable>, ProviderError> {
        let path = self.path(name, MANIFEST);
        Ok(match self.storage.read(self.object(&path), MANIFEST_LIMIT).await? {
            Some(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Manifest::read(&text),
                Err(error) => Err(Unusable::Manifest(error.to_string())),
            },
            None => Err(Unusable::Missing(MANIFEST.to_owned())),
        })
    }

    fn path(&self, name: &str, file: &str) -> String {
        self.url.object(&format!("{name}/{file}"))
    }

    fn object<'a>(&'a self, name: &'a str) -> Object<'a> {
        Object { bucket: &self.url.bucket, name }
    }
}
