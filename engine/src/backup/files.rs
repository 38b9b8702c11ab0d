//! The files that a backup consists of, wherever they are kept.

use super::Found;
use crate::error::{ProviderError, ProviderErrorKind};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use sha2::{Digest, Sha256};
use std::io::{self, BufRead, BufReader, Read, Write};
use zkprov_plans::backup::{Checksum, Contents, Manifest, Unusable};

/// What a backup says about itself.
pub(super) const MANIFEST: &str = "manifest.json";
/// The longest line of znodes that is read: 16 MB of data, far above what ZooKeeper takes.
const LINE: u64 = 24 << 20;

pub(super) fn failed(doing: impl Into<String>, error: &io::Error) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, doing, error.to_string())
}

pub(super) fn unusable(place: &str, error: &Unusable) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Failed, format!("reading {place}"), error.to_string())
        .hint("`zkprov backup list` shows the others; `zkprov backup verify` tells which are whole")
}

/// The oldest first.
pub(super) fn sort(found: &mut [Found]) {
    let time = |one: &Found| one.manifest.as_ref().map(|manifest| manifest.time.clone()).unwrap_or_default();
    found.sort_by(|one, other| (time(one), &one.name).cmp(&(time(other), &other.name)));
}

/// A manifest as it is written.
pub(super) fn manifest_text(manifest: &Manifest) -> io::Result<String> {
    let mut text = serde_json::to_string_pretty(manifest)?;
    text.push('\n');
    Ok(text)
}

/// Writes the znodes; gives the writer back, and the checksum of what went through it.
pub(super) fn write_znodes<W: Write>(to: W, contents: &Contents) -> io::Result<(W, Checksum)> {
    let hashing = Hashing { file: to, hash: Sha256::new(), bytes: 0 };
    let mut packed = GzEncoder::new(hashing, Compression::default());
    for line in contents.lines() {
        packed.write_all(line.as_bytes())?;
    }
    let Hashing { file, hash, bytes } = packed.finish()?;
    Ok((file, Checksum { bytes, sha256: digits(hash) }))
}

pub(super) fn checksum(mut from: impl Read) -> io::Result<Checksum> {
    let mut hashing = Hashing { file: io::sink(), hash: Sha256::new(), bytes: 0 };
    io::copy(&mut from, &mut hashing)?;
    Ok(Checksum { bytes: hashing.bytes, sha256: digits(hashing.hash) })
}

/// Reads the znodes of a file; `place` names it in errors.
pub(super) fn read_znodes(from: impl Read, place: &str) -> Result<Contents, ProviderError> {
    let doing = || format!("reading {place}");
    let mut lines = BufReader::new(GzDecoder::new(BufReader::new(from)));
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
    hex::encode(hash.finalize())
}
