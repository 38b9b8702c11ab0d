//! The frames of SPDY/3.1, as far as Kubernetes' clients and servers use them.
//!
//! The layout is that of the SPDY protocol's draft 3.1 (`draft3-1`), sections 2.2 and 2.6. Windows are not kept: `moby/spdystream`, which
//! both `kubectl` and the kubelet use, keeps none. crates.io has no maintained crate for SPDY.

use super::dictionary;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use hyper::body::Bytes;

/// Longest frame that is read. `kubectl` sends at most 32 KiB at once.
const LONGEST: usize = 1 << 20;
/// Longest list of headers, uncompressed.
const LONGEST_HEADERS: usize = 64 << 10;
const HEAD: usize = 8;
const CONTROL: u8 = 0x80;
const VERSION: u8 = 3;
/// The flag of the last frame of a stream in its direction.
const FIN: u8 = 1;

const SYN_STREAM: u8 = 1;
const SYN_REPLY: u8 = 2;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const HEADERS: u8 = 8;

/// A frame that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Frame {
    /// A stream begins.
    Open {
        stream: u32,
        headers: Vec<(String, String)>,
    },
    Data {
        stream: u32,
        bytes: Bytes,
        last: bool,
    },
    /// A stream is broken off.
    Reset {
        stream: u32,
    },
    Ping {
        id: u32,
    },
    GoAway,
    /// One that changes nothing here.
    Other,
}

/// Why a connection can't be read any further.
#[derive(Debug, thiserror::Error)]
pub(in crate::server) enum Broken {
    #[error("a SPDY frame of {0} bytes is too long")]
    TooLong(usize),
    #[error("SPDY {0} is not served")]
    Version(u8),
    #[error("a SPDY frame is cut short")]
    Short,
    #[error("the headers of a SPDY frame cannot be read: {0}")]
    Headers(String),
}

/// Reads frames out of bytes.
#[derive(Debug)]
pub(super) struct Decoder {
    bytes: Vec<u8>,
    headers: Decompress,
}

impl Decoder {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), headers: Decompress::new(true) }
    }

    /// Takes bytes that have arrived.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// The next frame that has arrived whole.
    pub(super) fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let Some([control, version, _, kind, flags, length @ ..]) = self.bytes.first_chunk::<HEAD>().copied()
        else {
            return Ok(None);
        };
        let [high, middle, low] = length;
        let length = usize::try_from(u32::from_be_bytes([0, high, middle, low])).unwrap_or(usize::MAX);
        if length > LONGEST {
            return Err(Broken::TooLong(length));
        }
        if self.bytes.len() < HEAD + length {
            return Ok(None);
        }
        let frame: Vec<u8> = self.bytes.drain(..HEAD + length).collect();
        let (head, body) = frame.split_at(HEAD);
        if control & CONTROL == 0 {
            let stream = number(head, 0)?;
            return Ok(Some(Frame::Data {
                stream,
                bytes: Bytes::copy_from_slice(body),
                last: flags & FIN != 0,
            }));
        }
        if version != VERSION {
            return Err(Broken::Version(version));
        }
        Ok(Some(match kind {
            SYN_STREAM => {
                let stream = number(body, 0)?;
                // After both streams' numbers, the priority and the slot.
                let headers = self.headers(body.get(10..).ok_or(Broken::Short)?)?;
                Frame::Open { stream, headers }
            }
            // Every list goes through the same dictionary, whoever it is for.
            SYN_REPLY | HEADERS => {
                self.headers(body.get(4..).ok_or(Broken::Short)?)?;
                Frame::Other
            }
            RST_STREAM => Frame::Reset { stream: number(body, 0)? },
            PING => Frame::Ping { id: number(body, 0)? },
            GOAWAY => Frame::GoAway,
            _ => Frame::Other,
        }))
    }

    fn headers(&mut self, packed: &[u8]) -> Result<Vec<(String, String)>, Broken> {
        let plain = self.inflate(packed)?;
        let mut at = 4;
        let mut text = || -> Result<String, Broken> {
            let length = usize::try_from(number(&plain, at)?).unwrap_or(usize::MAX);
            let bytes = plain.get(at + 4..(at + 4).saturating_add(length)).ok_or(Broken::Short)?;
            at += 4 + length;
            Ok(String::from_utf8_lossy(bytes).into_owned())
        };
        (0..number(&plain, 0)?).map(|_| Ok((text()?, text()?))).collect()
    }

    fn inflate(&mut self, packed: &[u8]) -> Result<Vec<u8>, Broken> {
        let broken = |error: &dyn std::fmt::Display| Broken::Headers(error.to_string());
        let (start, mut plain) = (self.headers.total_in(), Vec::new());
        loop {
            let read = usize::try_from(self.headers.total_in() - start).unwrap_or(usize::MAX);
            let rest = packed.get(read..).unwrap_or_default();
            plain.reserve(4 << 10);
            let before = plain.len();
            match self.headers.decompress_vec(rest, &mut plain, FlushDecompress::Sync) {
                Ok(Status::StreamEnd) => return Ok(plain),
                Ok(Status::Ok | Status::BufError) => {
                    let done = usize::try_from(self.headers.total_in() - start).unwrap_or(usize::MAX);
                    // What it has is out when it leaves room.
                    if done >= packed.len() && plain.len() < plain.capacity() {
                        return Ok(plain);
                    }
                    if plain.len() > LONGEST_HEADERS || (plain.len() == before && done == read) {
                        return Err(Broken::TooLong(plain.len()));
                    }
                }
                Err(error) if error.needs_dictionary().is_some() => {
                    self.headers.set_dictionary(&dictionary::bytes()).map_err(|error| broken(&error))?;
                }
                Err(error) => return Err(broken(&error)),
            }
        }
    }
}

/// Writes frames with headers.
#[derive(Debug)]
pub(super) struct Encoder {
    headers: Compress,
}

impl Encoder {
    pub(super) fn new() -> Result<Self, Broken> {
        let mut headers = Compress::new(Compression::best(), true);
        let set = headers.set_dictionary(&dictionary::bytes());
        set.map_err(|error| Broken::Headers(error.to_string()))?;
        Ok(Self { headers })
    }

    /// Accepts a stream, without headers.
    pub(super) fn reply(&mut self, stream: u32) -> Result<Vec<u8>, Broken> {
        let mut body = stream.to_be_bytes().to_vec();
        // A list of none.
        self.deflate(&[0; 4], &mut body)?;
        Ok(control(SYN_REPLY, &body))
    }

    fn deflate(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Broken> {
        let start = self.headers.total_in();
        loop {
            let read = usize::try_from(self.headers.total_in() - start).unwrap_or(usize::MAX);
            out.reserve(256);
            let packed =
                self.headers.compress_vec(plain.get(read..).unwrap_or_default(), out, FlushCompress::Sync);
            packed.map_err(|error| Broken::Headers(error.to_string()))?;
            if out.len() < out.capacity() {
                return Ok(());
            }
        }
    }
}

/// Bytes of a stream.
pub(super) fn data(stream: u32, bytes: &[u8], last: bool) -> Vec<u8> {
    frame([0; 4], stream, if last { FIN } else { 0 }, bytes)
}

/// The answer to a ping.
pub(super) fn ping(id: u32) -> Vec<u8> {
    control(PING, &id.to_be_bytes())
}

/// No more streams; the last one that was taken up.
pub(super) fn go_away(last: u32) -> Vec<u8> {
    control(GOAWAY, &[last.to_be_bytes(), [0; 4]].concat())
}

fn control(kind: u8, body: &[u8]) -> Vec<u8> {
    frame([CONTROL, VERSION, 0, kind], 0, 0, body)
}

fn frame(control: [u8; 4], stream: u32, flags: u8, body: &[u8]) -> Vec<u8> {
    let first = u32::from_be_bytes(control) | stream;
    let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
    let mut bytes = first.to_be_bytes().to_vec();
    bytes.push(flags);
    bytes.extend(length.to_be_bytes().iter().skip(1));
    bytes.extend(body);
    bytes
}

/// A number of 31 bits.
fn number(bytes: &[u8], at: usize) -> Result<u32, Broken> {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk::<4>()).ok_or(Broken::Short)?;
    Ok(u32::from_be_bytes(*word) & 0x7fff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `kubectl` 1.27 sends for a connection to a forwarded port 9: the error stream, its end, and the data stream.
    const RECORDED: &str = "8003 0001 0000003c 00000001 00000000 0000 78f9e3c6a7c202253a703a2b294a4dcc851625aca9a0808614cb \
        45a024cc68c9c0c0c0590489c34c50da663400000000ffff 00000001 01000000 8003 0001 00000018 00000003 00000000 0000 \
        c2aa1354082512d008000000ffff";

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        digits
            .chunks(2)
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    }

    #[test]
    fn frames_of_a_real_client_are_read_however_they_arrive() {
        let recorded = bytes(RECORDED);
        for piece in [1, 7, recorded.len()] {
            let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
            for part in recorded.chunks(piece) {
                decoder.push(part);
                while let Some(frame) = decoder.next().unwrap() {
                    frames.push(frame);
                }
            }
            let streams: Vec<(u32, String)> = frames
                .iter()
                .filter_map(|frame| {
                    let Frame::Open { stream, headers } = frame else { return None };
                    let mut names: Vec<String> =
                        headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
                    names.sort();
                    Some((*stream, names.join(" ")))
                })
                .collect();
            let expected = |stream, kind: &str| (stream, format!("port=9 requestid=0 streamtype={kind}"));
            assert_eq!(streams, [expected(1, "error"), expected(3, "data")], "in pieces of {piece}");
            let end = Frame::Data { stream: 1, bytes: Bytes::new(), last: true };
            assert_eq!(frames.get(1), Some(&end));
        }
    }

    #[test]
    fn what_we_write_is_read_by_the_same_rules() {
        let (mut encoder, mut decoder) = (Encoder::new().unwrap(), Decoder::new());
        for frame in [
            encoder.reply(1).unwrap(),
            encoder.reply(3).unwrap(),
            data(3, b"imok", true),
            ping(5),
            go_away(3),
        ] {
            decoder.push(&frame);
        }
        let frames: Vec<Frame> = std::iter::from_fn(|| decoder.next().unwrap()).collect();
        let last = Frame::Data { stream: 3, bytes: Bytes::from_static(b"imok"), last: true };
        assert_eq!(frames, [Frame::Other, Frame::Other, last, Frame::Ping { id: 5 }, Frame::GoAway]);
    }

    #[test]
    fn nonsense_ends_the_connection() {
        for (hex, why) in [
            ("80 03 00 01 00 ff ff ff", "too long"),
            ("80 02 00 06 00 00 00 04 00 00 00 01", "not served"),
            ("80 03 00 06 00 00 00 02 00 01", "cut short"),
            ("80 03 00 01 00 00 00 0c 00 00 00 01 00 00 00 00 00 00 ff ff", "cannot be read"),
        ] {
            let mut decoder = Decoder::new();
            decoder.push(&bytes(hex));
            let refused = decoder.next().unwrap_err().to_string();
            assert!(refused.contains(why), "{hex}: {refused}");
        }
    }
}
