//! Transaction logs, `log.ZXID`.

use super::adler::checksum;
use super::jute::{Malformed, Reader};
use super::transaction::{self, Transaction};

/// `ZKLG`.
const MAGIC: i32 = 0x5a4b_4c47;
const VERSION: i32 = 2;
/// What stands behind each whole record.
const END_OF_RECORD: u8 = b'B';

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tail {
    /// With the file, or with the zeros that are written ahead.
    Clean,
    /// Within a record, which begins at this byte: its writer was at work, or lost its power. ZooKeeper passes over it.
    Cut(usize),
    /// With a whole record, which begins at this byte, whose checksum is another: ZooKeeper does not start on such a log.
    Damaged(usize),
}

/// One log, read record by record.
#[derive(Debug, Clone)]
pub struct Log<'a> {
    reader: Reader<'a>,
    tail: Option<Tail>,
}

impl<'a> Log<'a> {
    /// Opens a log. One that has no whole head yet is empty.
    ///
    /// # Errors
    /// When it is another file, or of another version.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        if bytes.len() < 16 || bytes.iter().take(16).all(|byte| *byte == 0) {
            let tail = if bytes.iter().all(|byte| *byte == 0) { Tail::Clean } else { Tail::Cut(0) };
            return Ok(Self { reader, tail: Some(tail) });
        }
        if reader.int("the head")? != MAGIC {
            return Err(Malformed { what: "no transaction log".to_owned(), offset: 0 });
        }
        let version = reader.int("the head")?;
        if version != VERSION {
            return Err(Malformed { what: format!("a log of version {version}, not {VERSION}"), offset: 4 });
        }
        reader.long("the head")?;
        Ok(Self { reader, tail: None })
    }

    /// How the log ends; none before [`Log::next`] has come to the end.
    pub fn tail(&self) -> Option<Tail> {
        self.tail
    }

    /// The next whole record; none at the end.
    ///
    /// # Errors
    /// When a record with a good checksum can't be read: no kind of transaction that 3.4 knows.
    #[expect(clippy::should_implement_trait, reason = "an iterator over results would hide where a log ends")]
    pub fn next(&mut self) -> Result<Option<Transaction>, Malformed> {
        if self.tail.is_some() {
            return Ok(None);
        }
        let start = self.reader.position();
        let Some((sum, record)) = whole(&mut self.reader) else {
            self.tail = Some(if self.reader.remaining() == 0 && self.reader.position() == start {
                Tail::Clean
            } else {
                Tail::Cut(start)
            });
            return Ok(None);
        };
        if record.is_empty() {
            self.tail = Some(Tail::Clean);
            return Ok(None);
        }
        if checksum(record) != sum {
            self.tail = Some(Tail::Damaged(start));
            return Ok(None);
        }
        let read = transaction::read(record);
        read.map(Some).map_err(|error| Malformed { offset: start, ..error })
    }
}

/// The checksum and the bytes of a record, which are none at the zeros of the end; none if it is cut.
fn whole<'a>(reader: &mut Reader<'a>) -> Option<(i64, &'a [u8])> {
    let sum = reader.long("a checksum").ok()?;
    let record = reader.buffer("a record").ok()?.unwrap_or_default();
    if record.is_empty() {
        return Some((sum, record));
    }
    (reader.byte("the end of a record").ok()? == END_OF_RECORD).then_some((sum, record))
}
