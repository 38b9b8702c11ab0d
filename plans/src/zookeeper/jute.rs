//! Jute, the encoding of everything that ZooKeeper writes: big-endian numbers, strings and vectors with their length first.

use super::tree::Acl;

/// Why bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct Malformed {
    /// What was found, or is missing.
    pub what: String,
    /// Where, in bytes from the beginning of the file or record.
    pub offset: usize,
}

/// A cursor over bytes that may be anything.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn remaining(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    pub(super) fn malformed(&self, what: impl Into<String>) -> Malformed {
        Malformed { what: what.into(), offset: self.position }
    }

    pub(super) fn take(&mut self, count: usize, what: &str) -> Result<&'a [u8], Malformed> {
        let end = self.position.checked_add(count);
        let taken = end.and_then(|end| self.bytes.get(self.position..end));
        let taken = taken.ok_or_else(|| self.malformed(format!("the end of the data within {what}")))?;
        self.position += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], Malformed> {
        let taken = self.take(N, what)?;
        <[u8; N]>::try_from(taken).map_err(|_| self.malformed(what))
    }

    pub(super) fn byte(&mut self, what: &str) -> Result<u8, Malformed> {
        Ok(u8::from_be_bytes(self.array(what)?))
    }

    pub(super) fn bool(&mut self, what: &str) -> Result<bool, Malformed> {
        Ok(self.byte(what)? != 0)
    }

    pub(super) fn int(&mut self, what: &str) -> Result<i32, Malformed> {
        Ok(i32::from_be_bytes(self.array(what)?))
    }

    pub(super) fn long(&mut self, what: &str) -> Result<i64, Malformed> {
        Ok(i64::from_be_bytes(self.array(what)?))
    }

    /// Bytes with their length first; a length of -1 is Java's null.
    pub(super) fn buffer(&mut self, what: &str) -> Result<Option<&'a [u8]>, Malformed> {
        let length = self.int(what)?;
        if length == -1 {
            return Ok(None);
        }
        let length =
            usize::try_from(length).map_err(|_| self.malformed(format!("a length of {length} of {what}")))?;
        self.take(length, what).map(Some)
    }

    pub(super) fn string(&mut self, what: &str) -> Result<String, Malformed> {
        let bytes = self.buffer(what)?.unwrap_or_default();
        let text = std::str::from_utf8(bytes);
        text.map(str::to_owned).map_err(|_| self.malformed(format!("text that is not UTF-8 in {what}")))
    }

    /// How many elements follow, each of `least` bytes or more: a count that the rest can't hold is refused.
    pub(super) fn count(&mut self, least: usize, what: &str) -> Result<usize, Malformed> {
        let count = self.int(what)?;
        if count == -1 {
            return Ok(0);
        }
        let fits = usize::try_from(count).ok().filter(|count| *count <= self.remaining() / least.max(1));
        fits.ok_or_else(|| self.malformed(format!("a count of {count} of {what}")))
    }

    pub(super) fn acls(&mut self) -> Result<Vec<Acl>, Malformed> {
        let count = self.count(12, "ACL entries")?;
        let entry = |_| {
            let perms = self.int("the permissions of an ACL")?;
            let scheme = self.string("the scheme of an ACL")?;
            let id = self.string("the id of an ACL")?;
            Ok(Acl { perms, scheme, id })
        };
        (0..count).map(entry).collect()
    }

    /// A path from the root: refused when ZooKeeper could not have made it, since a wrong one would leave the tree.
    pub(super) fn path(&mut self, what: &str) -> Result<String, Malformed> {
        let path = self.string(what)?;
        if is_path(&path) {
            Ok(path)
        } else {
            Err(self.malformed(format!("{path:?}, which is no path, as {what}")))
        }
    }
}

/// Whether this is an absolute path with no empty name in it.
pub(crate) fn is_path(path: &str) -> bool {
    path == "/" || path.strip_prefix('/').is_some_and(|names| names.split('/').all(|name| !name.is_empty()))
}
