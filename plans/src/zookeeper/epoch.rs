//! The files `currentEpoch` and `acceptedEpoch`: one number in decimal.

use super::jute::Malformed;

/// The epoch that such a file names.
///
/// # Errors
/// When it is no number of 0 or more.
pub fn read(bytes: &[u8]) -> Result<i64, Malformed> {
    let text = std::str::from_utf8(bytes).unwrap_or_default().trim();
    let epoch = text.parse().ok().filter(|epoch| *epoch >= 0);
    epoch.ok_or_else(|| Malformed { what: "no epoch".to_owned(), offset: 0 })
}
