//! The files of a directory out of a tar stream, as it comes. Zeros at the end of a file are not kept: ZooKeeper writes its
//! logs ahead, in 64 MB of zeros, and a record ends with another byte.

/// The unit of the format.
const BLOCK: usize = 512;

/// A tar stream that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadArchive {
    /// A head that is none, or a size that is none.
    #[error("the stream is no tar archive")]
    NotTar,
    /// It ended within a file or before its end was marked.
    #[error("the stream was cut")]
    Cut,
    /// More than may be kept.
    #[error("the files are larger than {0} MB")]
    TooLarge(usize),
}

/// One file being read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Entry {
    name: String,
    bytes: Vec<u8>,
    /// Zeros seen that no other byte has followed yet.
    zeros: usize,
    /// Bytes that are still to come, with the padding of the last block.
    left: u64,
    padding: u64,
    kept: bool,
}

/// A stream of which the first part was read.
#[derive(Debug, Clone)]
pub struct Archive {
    files: Vec<(String, Vec<u8>)>,
    head: Vec<u8>,
    entry: Option<Entry>,
    ended: bool,
    limit: usize,
    kept: usize,
}

impl Archive {
    /// An empty one, which keeps no more than `limit` bytes.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        Self { files: Vec::new(), head: Vec::new(), entry: None, ended: false, limit, kept: 0 }
    }

    /// Takes the next bytes of the stream, of any number.
    ///
    /// # Errors
    /// When they are no tar archive, or hold more than may be kept.
    pub fn push(&mut self, mut bytes: &[u8]) -> Result<(), BadArchive> {
        while !bytes.is_empty() && !self.ended {
            let taken = match &mut self.entry {
                Some(_) => self.fill(bytes)?,
                None => self.begin(bytes)?,
            };
            bytes = bytes.get(taken..).unwrap_or_default();
        }
        Ok(())
    }

    /// Names without their directory and contents, in the order of the stream.
    ///
    /// # Errors
    /// When the stream did not come to its end.
    pub fn finish(self) -> Result<Vec<(String, Vec<u8>)>, BadArchive> {
        if self.ended { Ok(self.files) } else { Err(BadArchive::Cut) }
    }

    fn begin(&mut self, bytes: &[u8]) -> Result<usize, BadArchive> {
        let wanted = BLOCK.saturating_sub(self.head.len()).min(bytes.len());
        self.head.extend_from_slice(bytes.get(..wanted).unwrap_or_default());
        if self.head.len() == BLOCK {
            let head = std::mem::take(&mut self.head);
            if head.iter().all(|byte| *byte == 0) {
                self.ended = true;
            } else {
                let entry = entry(&head).ok_or(BadArchive::NotTar)?;
                if entry.left == 0 { self.end(entry) } else { self.entry = Some(entry) }
            }
        }
        Ok(wanted)
    }

    fn fill(&mut self, bytes: &[u8]) -> Result<usize, BadArchive> {
        let Some(mut entry) = self.entry.take() else { return Ok(0) };
        let content = usize::try_from(entry.left).unwrap_or(usize::MAX).min(bytes.len());
        if content > 0 {
            let bytes = bytes.get(..content).unwrap_or_default();
            if entry.kept {
                let zeros = bytes.iter().rev().take_while(|byte| **byte == 0).count();
                if zeros < content {
                    let grown = entry.zeros.saturating_add(content - zeros);
                    self.kept = self.kept.saturating_add(grown);
                    if self.kept > self.limit {
                        return Err(BadArchive::TooLarge(self.limit / 1_000_000));
                    }
                    entry.bytes.resize(entry.bytes.len() + entry.zeros, 0);
                    entry.bytes.extend_from_slice(bytes.get(..content - zeros).unwrap_or_default());
                    entry.zeros = zeros;
                } else {
                    entry.zeros = entry.zeros.saturating_add(zeros);
                }
            }
            entry.left -= content as u64;
        }
        let padding = usize::try_from(entry.padding).unwrap_or(0).min(bytes.len() - content);
        if entry.left == 0 {
            entry.padding -= padding as u64;
        }
        let taken = if entry.left == 0 { content + padding } else { content };
        if entry.left == 0 && entry.padding == 0 {
            self.end(entry)
        } else {
            self.entry = Some(entry)
        }
        Ok(taken)
    }

    fn end(&mut self, entry: Entry) {
        if entry.kept {
            self.files.push((entry.name, entry.bytes));
        }
    }
}

/// What a head says; none when it is no head.
fn entry(head: &[u8]) -> Option<Entry> {
    let sum: u64 = head
        .iter()
        .enumerate()
        .map(|(at, byte)| if (148..156).contains(&at) { 32 } else { u64::from(*byte) })
        .sum();
    if octal(head.get(148..156)?)? != sum {
        return None;
    }
    let name = head.get(..100)?.split(|byte| *byte == 0).next()?;
    let name = String::from_utf8_lossy(name);
    let size = head.get(124..136)?;
    // Sizes of 8 GiB and more are in binary, with the first bit set.
    let left = if size.first()? & 0x80 == 0 {
        octal(size)?
    } else {
        size.iter().skip(4).fold(0_u64, |size, byte| size << 8 | u64::from(*byte))
    };
    let kept = matches!(head.get(156)?, b'0' | 0) && !name.ends_with('/');
    let name = name.rsplit('/').next().unwrap_or_default().to_owned();
    let padding = (BLOCK as u64 - left % BLOCK as u64) % BLOCK as u64;
    Some(Entry { name, left, padding, kept, ..Entry::default() })
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(|letter| letter == ' ' || letter == '\0'), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut stream = Vec::new();
        for (name, bytes) in files {
            let mut head = vec![0; BLOCK];
            head[..name.len()].copy_from_slice(name.as_bytes());
            head[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
            head[148..156].fill(b' ');
            head[156] = if name.ends_with('/') { b'5' } else { b'0' };
            let sum: u64 = head.iter().map(|byte| u64::from(*byte)).sum();
            head[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
            stream.extend(head);
            stream.extend_from_slice(bytes);
            stream.resize(stream.len().next_multiple_of(BLOCK), 0);
        }
        stream.resize(stream.len() + 2 * BLOCK, 0);
        stream
    }

    proptest! {
        /// However the stream is cut into pieces.
        #[test]
        fn files_come_back_without_the_zeros_at_their_end(
            one in prop::collection::vec(0_u8..3, 0..1500),
            two in prop::collection::vec(0_u8..3, 0..1500),
            piece in 1_usize..1200,
        ) {
            let stream = tar(&[("version-2/", b""), ("version-2/log.1", &one), ("version-2/snapshot.0", &two)]);
            let mut archive = Archive::new(usize::MAX);
            stream.chunks(piece).try_for_each(|piece| archive.push(piece)).unwrap();
            let short = |bytes: &[u8]| bytes[..bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1)].to_vec();
            let expected = vec![("log.1".to_owned(), short(&one)), ("snapshot.0".to_owned(), short(&two))];
            prop_assert_eq!(archive.finish().unwrap(), expected);
        }

        #[test]
        fn arbitrary_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 512..2000)) {
            let mut archive = Archive::new(usize::MAX);
            prop_assert!(archive.push(&bytes).is_err() || archive.finish().is_err());
        }
    }

    #[test]
    fn a_cut_stream_and_a_large_one_are_refused() {
        let stream = tar(&[("log.1", &[7; 3000])]);
        for cut in [10, 600, 3500, stream.len() - 2 * BLOCK] {
            let mut archive = Archive::new(usize::MAX);
            archive.push(&stream[..cut]).unwrap();
            assert_eq!(archive.finish(), Err(BadArchive::Cut));
        }
        assert_eq!(Archive::new(2000).push(&stream), Err(BadArchive::TooLarge(0)));
    }
}
