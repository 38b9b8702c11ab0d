//! Options of ZooKeeper's JVM. They stand between double quotes in a file that a shell reads as root, so only what no shell takes for
//! its own gets through.

use super::formats::{Problem, refuse};

/// Flags of the heap, by their beginnings: the heap has a key of its own, which the container's memory is checked against.
const HEAP: [&str; 7] = [
    "-Xms",
    "-Xmx",
    "-XX:InitialHeapSize",
    "-XX:MaxHeapSize",
    "-XX:InitialRAMPercentage",
    "-XX:MaxRAMPercentage",
    "-XX:MaxRAM=",
];

pub(super) fn check(text: &str) -> Result<(), Problem> {
    let harmless = |c: char| c.is_ascii_alphanumeric() || " -+:=._/,%@~".contains(c);
    if let Some(letter) = text.chars().find(|c| !harmless(*c)) {
        return refuse("invalid-jvm-options", format!("a JVM option must not contain {letter:?}"), "A shell reads them: letters, digits and `-+:=._/,%@~` mean nothing else to it.", "write options without quotes, with spaces between them, like `-XX:+UseG1GC -Djute.maxbuffer=4194304`"
                .to_owned());
    }
    for option in text.split_whitespace() {
        if HEAP.iter().any(|flag| option.starts_with(flag)) {
            return refuse(
                "heap-in-jvm-options",
                format!("`{option}` sets the heap"),
                "It is checked against the container's memory, which an option is not.",
                "write `heap: 512MiB` beside it instead".to_owned(),
            );
        }
        if !option.starts_with('-') {
            return refuse(
                "invalid-jvm-options",
                format!("`{option}` is no option: it does not begin with `-`"),
                "Java would take it for the class to start.",
                "write `-Dname=value`, `-XX:...` or `-X...`".to_owned(),
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn options_pass_and_words_of_a_shell_do_not() {
        for good in
            ["", "-XX:+UseG1GC", "-XX:+UseG1GC  -Djute.maxbuffer=4194304", "-Xlog:gc*".trim_end_matches('*')]
        {
            assert!(check(good).is_ok(), "{good}");
        }
        let refused = [
            "-Da=\"x",
            "-Da='x",
            "-Da=1;id",
            "-Da=`id`",
            "-Da=$(id)",
            "-Da=1\n-Db=2",
            "-Da=a\\b",
            "-Xlog:gc*",
        ];
        for bad in refused {
            assert_eq!(check(bad).unwrap_err().code, "invalid-jvm-options", "{bad}");
        }
        assert_eq!(check("Main").unwrap_err().code, "invalid-jvm-options");
        for heap in ["-Xmx1g", "-XX:+UseG1GC -Xms5m", "-XX:MaxRAMPercentage=50"] {
            let refused = check(heap).unwrap_err();
            assert_eq!(refused.code, "heap-in-jvm-options", "{heap}");
            assert!(refused.fix.contains("heap:"), "{}", refused.fix);
        }
    }
}
