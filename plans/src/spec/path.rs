//! Paths in the user's file, as `--set` has them: keys joined by dots. A dot that belongs to a key is written `\.`.

use std::ops::Range;

/// The path of a key below another path.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = key.replace('\\', r"\\").replace('.', r"\.");
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The keys of a path, as they stand in the file.
pub(crate) fn keys(path: &str) -> Vec<String> {
    pieces(path).into_iter().map(|(key, _)| key).collect()
}

/// The keys of a path, each with where it stands in the text of the path, in characters.
pub(crate) fn pieces(path: &str) -> Vec<(String, Range<usize>)> {
    let (mut pieces, mut key, mut from, mut at) = (Vec::new(), String::new(), 0, 0);
    let mut characters = path.chars().peekable();
    while let Some(c) = characters.next() {
        at += 1;
        match c {
            '\\' if matches!(characters.peek(), Some('.' | '\\')) => {
                at += 1;
                key.extend(characters.next());
            }
            '.' => {
                pieces.push((std::mem::take(&mut key), from..at - 1));
                from = at;
            }
            _ => key.push(c),
        }
    }
    pieces.push((key, from..at));
    pieces
}

/// The last key of a path.
pub(crate) fn last(path: &str) -> String {
    keys(path).pop().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back_as_they_were_joined() {
        for chain in
            [&["spec", "zone"][..], &["zooCfg", "autopurge.purgeInterval"], &["a.b", r"c\d.e", "f"], &[""]]
        {
            let path = chain.iter().fold(String::new(), |path, key| join(&path, key));
            assert_eq!(keys(&path), chain, "{path}");
            assert_eq!(last(&path), *chain.last().unwrap());
        }
    }
}
