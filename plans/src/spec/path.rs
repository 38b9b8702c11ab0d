//! Paths in the user's file, as `--set` has them: keys joined by dots. A dot that belongs to a key is written `\.`.

/// The path of a key below another path.
pub(crate) fn join(path: &str, key: &str) -> String {
    let key = key.replace('\\', r"\\").replace('.', r"\.");
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// The keys of a path, as they stand in the file.
pub(crate) fn keys(path: &str) -> Vec<String> {
    let (mut keys, mut key, mut characters) = (Vec::new(), String::new(), path.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '\\' if matches!(characters.peek(), Some('.' | '\\')) => key.extend(characters.next()),
            '.' => keys.push(std::mem::take(&mut key)),
            _ => key.push(c),
        }
    }
    keys.push(key);
    keys
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
