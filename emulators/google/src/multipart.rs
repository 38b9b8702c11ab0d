//! Bodies of several parts (RFC 2046), as clients of Google's APIs send them.
//!
//! Lines end as the client's lines do: with CRLF by the standard, with LF alone in what gcloud sends (Python's
//! `email.generator`). The first boundary's line says which of both it is, so that a part may end in either.

/// One part.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Part<'a> {
    /// Its header lines.
    head: String,
    /// Its content.
    pub(crate) body: &'a [u8],
}

impl Part<'_> {
    /// The value of one of its headers.
    #[must_use]
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of a header among header lines, whatever the case of its name.
#[must_use]
pub(crate) fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

/// The parts of a body.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn parts<'a>(content_type: &str, body: &'a [u8]) -> Result<Vec<Part<'a>>, &'static str> {
    const MALFORMED: &str = "Malformed multipart body.";
    let boundary = content_type
        .split(';')
        .find_map(|part| part.trim().strip_prefix("boundary="))
        .ok_or("Missing boundary in multipart body.")?
        .trim_matches(['"', '\'']);
    let first = format!("--{boundary}");
    let rest = body.strip_prefix(first.as_bytes()).ok_or(MALFORMED)?;
    let end = if rest.starts_with(b"\r\n") { "\r\n" } else { "\n" };
    // Every boundary but the first is on a line of its own.
    let mut pieces = split(rest, format!("{end}{first}").as_bytes());
    let last = pieces.pop().ok_or(MALFORMED)?;
    if !last.starts_with(b"--") || pieces.is_empty() {
        return Err(MALFORMED);
    }
    pieces.into_iter().map(|piece| part(piece, end).ok_or(MALFORMED)).collect()
}

/// Headers and content of a message: a blank line parts them. One without headers begins with it.
#[must_use]
pub(crate) fn part<'a>(piece: &'a [u8], end: &str) -> Option<Part<'a>> {
    let blank = format!("{end}{end}");
    let at = piece.windows(blank.len()).position(|window| window == blank.as_bytes())?;
    let (head, body) = piece.split_at(at);
    let head = String::from_utf8_lossy(head).into_owned();
    Some(Part { head, body: body.get(blank.len()..).unwrap_or_default() })
}

fn split<'a>(mut bytes: &'a [u8], by: &[u8]) -> Vec<&'a [u8]> {
    let mut parts = Vec::new();
    while let Some(at) = bytes.windows(by.len()).position(|window| window == by) {
        let (part, rest) = bytes.split_at(at);
        parts.push(part);
        bytes = rest.get(by.len()..).unwrap_or_default();
    }
    parts.push(bytes);
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bodies<'a>(body: &'a str, boundary: &str) -> Result<Vec<&'a [u8]>, &'static str> {
        let parts = parts(&format!("multipart/mixed; boundary={boundary}"), body.as_bytes())?;
        Ok(parts.into_iter().map(|part| part.body).collect())
    }

    #[test]
    fn lines_end_in_either_way() {
        for (body, wanted) in [
            ("--b\r\na: 1\r\n\r\none\r\n--b\r\n\r\ntwo\n\r\n--b--\r\n", [&b"one"[..], b"two\n"]),
            ("--b\na: 1\n\none\n--b\n\ntwo\r\n--b--\n", [&b"one"[..], b"two\r"]),
        ] {
            assert_eq!(bodies(body, "\"b\"").unwrap(), wanted, "{body:?}");
        }
        let one = parts("multipart/mixed; boundary='b'", b"--b\nContent-ID: <x+1>\n\n\n--b--").unwrap();
        assert_eq!((one[0].header("content-id"), one[0].header("host")), (Some("<x+1>"), None));
    }

    #[test]
    fn broken_bodies_are_refused() {
        for body in ["", "--c\n\n\n--c--", "--b\n\none", "--b\na: 1\n--b--", "--b--"] {
            assert!(bodies(body, "b").is_err(), "{body:?}");
        }
        assert_eq!(parts("multipart/mixed", b"--b--"), Err("Missing boundary in multipart body."));
    }
}
