//! Jute, the encoding of ZooKeeper's protocol and files: big-endian numbers, and bytes with their length before them.

use super::acl::Acl;
use crate::data::Znode;

/// Writes values one after the other.
#[derive(Debug, Default)]
pub(super) struct Writer(pub(super) Vec<u8>);

impl Writer {
    pub(super) fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(super) fn bool(&mut self, value: bool) -> &mut Self {
        self.byte(u8::from(value))
    }

    pub(super) fn int(&mut self, value: i32) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    pub(super) fn long(&mut self, value: i64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A transaction id or a time.
    pub(super) fn unsigned(&mut self, value: u64) -> &mut Self {
        self.0.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// A version or a length; what Java's `int` does not hold is cut, as there.
    pub(super) fn count(&mut self, value: u64) -> &mut Self {
        self.int(i32::try_from(value & 0x7fff_ffff).unwrap_or(i32::MAX))
    }

    fn length(&mut self, value: usize) -> &mut Self {
        self.int(i32::try_from(value).unwrap_or(i32::MAX))
    }

    pub(super) fn buffer(&mut self, bytes: &[u8]) -> &mut Self {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
        self
    }

    pub(super) fn string(&mut self, text: &str) -> &mut Self {
        self.buffer(text.as_bytes())
    }

    /// So many strings.
    pub(super) fn strings<'a>(&mut self, count: usize, texts: impl Iterator<Item = &'a str>) -> &mut Self {
        self.length(count);
        for text in texts {
            self.string(text);
        }
        self
    }

    pub(super) fn acl(&mut self, list: &[Acl]) -> &mut Self {
        self.length(list.len());
        for entry in list {
            self.count(entry.perms.into()).string(&entry.scheme).string(&entry.id);
        }
        self
    }

    /// The `Stat` that clients see.
    pub(super) fn stat(&mut self, node: &Znode, children: usize) -> &mut Self {
        self.unsigned(node.czxid).unsigned(node.mzxid).unsigned(node.ctime).unsigned(node.mtime);
        let cversion = i32::try_from(node.shown_cversion(children)).unwrap_or(i32::MAX);
        self.count(node.version).int(cversion).count(node.aversion).long(node.owner);
        self.length(node.data.len()).length(children).unsigned(node.pzxid)
    }
}

/// Reads values one after the other; `None` when the bytes end or make no sense.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn bool(&mut self) -> Option<bool> {
        Some(self.take(1)? != [0])
    }

    pub(super) fn int(&mut self) -> Option<i32> {
        self.take(4)?.try_into().ok().map(i32::from_be_bytes)
    }

    pub(super) fn long(&mut self) -> Option<i64> {
        self.take(8)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// A null buffer is an empty one.
    pub(super) fn buffer(&mut self) -> Option<&'a [u8]> {
        let length = self.int()?.max(0);
        self.take(usize::try_from(length).ok()?)
    }

    pub(super) fn string(&mut self) -> Option<String> {
        String::from_utf8(self.buffer()?.to_vec()).ok()
    }

    pub(super) fn strings(&mut self) -> Option<Vec<String>> {
        (0..self.int()?.max(0)).map(|_| self.string()).collect()
    }

    pub(super) fn acl(&mut self) -> Option<Vec<Acl>> {
        let entry = |reader: &mut Self| {
            let perms = u32::try_from(reader.int()?).ok()?;
            Some(Acl { perms, scheme: reader.string()?, id: reader.string()? })
        };
        (0..self.int()?.max(0)).map(|_| entry(self)).collect()
    }
}
