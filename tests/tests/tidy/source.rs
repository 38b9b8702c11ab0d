//! Rust sources as the rules see them: comments, the contents of literals, and test code blanked, line by line.

use crate::repository;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// Folders of our crates. A test over `cargo metadata` holds that each crate is below one of them.
pub(crate) const CRATES: &[&str] = &["plans", "templates", "engine", "cli", "emulators", "sandbox", "tests"];

/// A source file of a crate, without its tests.
pub(crate) struct Source {
    /// Path from the repository's root, with `/`.
    pub(crate) path: String,
    /// Its code.
    pub(crate) code: String,
}

/// The sources of all crates, sorted, without the files that are test modules.
fn all() -> &'static [Source] {
    static ALL: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let files: Vec<PathBuf> =
            CRATES.iter().flat_map(|folder| files(&repository().join(folder), "rs")).collect();
        let tests: BTreeSet<PathBuf> = files.iter().flat_map(|file| test_modules(file)).collect();
        let is_shipped = |file: &&PathBuf| {
            !tests.iter().any(|test| *file == test || file.starts_with(test.with_extension("")))
        };
        let read =
            |file: &PathBuf| Source { path: relative(file), code: code(&fs::read_to_string(file).unwrap()) };
        files.iter().filter(is_shipped).map(read).collect()
    });
    &ALL
}

/// The sources below these folders.
pub(crate) fn sources<'a>(folders: &'a [&str]) -> impl Iterator<Item = &'static Source> + 'a {
    let within =
        move |source: &&Source| folders.iter().any(|folder| Path::new(&source.path).starts_with(folder));
    all().iter().filter(within)
}

/// The files with this ending below a folder, sorted; nothing that is built or hidden.
pub(crate) fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && name != "node_modules" && name != ".git" {
                    open.push(path);
                }
            } else if path.extension().is_some_and(|has| has == ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A path from the repository's root, with `/`.
pub(crate) fn relative(path: &Path) -> String {
    path.strip_prefix(repository()).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// The files of the modules that a file declares for tests alone.
fn test_modules(file: &Path) -> Vec<PathBuf> {
    let text = fs::read_to_string(file).unwrap();
    let mut found = Vec::new();
    let (mut test, mut named) = (false, None);
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[cfg(test)]") {
            (test, named) = (true, None);
        } else if let Some(path) = line.strip_prefix("#[path = \"").and_then(|rest| rest.strip_suffix("\"]"))
        {
            named = Some(path.to_owned());
        } else if !line.starts_with("#[") {
            let module =
                line.strip_suffix(';').and_then(|line| line.split_once("mod ")).map(|(_, name)| name);
            if let (true, Some(module)) = (test, module) {
                found.extend(module_files(file, module, named.as_deref()));
            }
            (test, named) = (false, None);
        }
    }
    found
}

fn module_files(file: &Path, module: &str, named: Option<&str>) -> Vec<PathBuf> {
    let folder = file.parent().unwrap();
    if let Some(named) = named {
        return vec![folder.join(named)];
    }
    let stem = file.file_stem().unwrap().to_string_lossy();
    let below =
        if matches!(&*stem, "mod" | "lib" | "main") { folder.to_path_buf() } else { folder.join(&*stem) };
    vec![below.join(format!("{module}.rs")), below.join(module).join("mod.rs")]
}

/// The text with comments, the insides of literals and `#[cfg(test)]` items replaced by spaces. Lines stay where they are.
pub(crate) fn code(text: &str) -> String {
    let bare = without_literals(text);
    let mut code: Vec<char> = bare.chars().collect();
    let mark: Vec<char> = "#[cfg(test)]".chars().collect();
    let mut at = 0;
    while at + mark.len() <= code.len() {
        if code[at..at + mark.len()] != mark[..] {
            at += 1;
            continue;
        }
        let end = item_end(&code, at + mark.len());
        code[at..end].iter_mut().filter(|letter| **letter != '\n').for_each(|letter| *letter = ' ');
        at = end;
    }
    code.into_iter().collect()
}

/// Where the item that begins here ends: behind its `;`, or behind the brace that closes its first one.
fn item_end(code: &[char], from: usize) -> usize {
    let mut depth = 0_usize;
    for (at, letter) in code.iter().enumerate().skip(from) {
        match letter {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
    }
    code.len()
}

/// What a scan of Rust text stands in.
enum Within {
    Code,
    LineComment,
    BlockComment(usize),
    Text,
    RawText(usize),
}

fn without_literals(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut within = Within::Code;
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let next = letters.get(at + 1).copied().unwrap_or('\0');
        // How many letters are taken, whether they are kept, and where the scan then stands.
        let (taken, keep, then) = match within {
            Within::Code => in_code(&letters, at, letter, next),
            Within::LineComment if letter == '\n' => (1, true, Within::Code),
            Within::LineComment => (1, false, Within::LineComment),
            Within::BlockComment(depth) => match (letter, next, depth) {
                ('*', '/', 1) => (2, false, Within::Code),
                ('*', '/', _) => (2, false, Within::BlockComment(depth - 1)),
                ('/', '*', _) => (2, false, Within::BlockComment(depth + 1)),
                _ => (1, false, Within::BlockComment(depth)),
            },
            Within::Text => match letter {
                '\\' => (2, false, Within::Text),
                '"' => (1, true, Within::Code),
                _ => (1, false, Within::Text),
            },
            Within::RawText(hashes) => {
                let closes = letter == '"' && (1..=hashes).all(|step| letters.get(at + step) == Some(&'#'));
                if closes { (1 + hashes, true, Within::Code) } else { (1, false, Within::RawText(hashes)) }
            }
        };
        for letter in letters.iter().skip(at).take(taken) {
            out.push(if keep || *letter == '\n' { *letter } else { ' ' });
        }
        within = then;
        at += taken;
    }
    out
}

fn in_code(letters: &[char], at: usize, letter: char, next: char) -> (usize, bool, Within) {
    match (letter, next) {
        ('/', '/') => (2, false, Within::LineComment),
        ('/', '*') => (2, false, Within::BlockComment(1)),
        ('"', _) => (1, true, Within::Text),
        ('r', '"' | '#') if at == 0 || !is_word(letters[at - 1]) || letters[at - 1] == 'b' => {
            let hashes = letters[at + 1..].iter().take_while(|letter| **letter == '#').count();
            if letters.get(at + 1 + hashes) == Some(&'"') {
                (2 + hashes, true, Within::RawText(hashes))
            } else {
                (1, true, Within::Code)
            }
        }
        // A character, not a lifetime.
        ('\'', '\\') => {
            let length = letters[at + 3..].iter().position(|letter| *letter == '\'').unwrap_or(0);
            (length + 4, false, Within::Code)
        }
        ('\'', _) if letters.get(at + 2) == Some(&'\'') => (3, false, Within::Code),
        _ => (1, true, Within::Code),
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

#[test]
fn comments_literals_and_tests_are_blanked_and_lines_stay() {
    let text = "let a = \"// no\"; // std::env\nlet b = r#\"x \" y\"#; /* a /* b */ c */ d\nfn f<'a>(c: char) { c == '\"' }\n\
                #[cfg(test)]\nmod tests { fn g() { { } } }\nlet c = '\\''; e";
    let seen = code(text);
    assert_eq!(seen.lines().count(), text.lines().count());
    for gone in ["no", "std", "x", "y", "mod", "fn g", "/*", "a /*"] {
        assert!(!seen.contains(gone), "{gone:?} in {seen}");
    }
    for kept in ["let a", "let b", " d\n", "fn f<'a>(c: char)", "let c", " e"] {
        assert!(seen.contains(kept), "{kept:?} not in {seen}");
    }
}
