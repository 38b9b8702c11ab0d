//! The tables of fields are what their generator writes from the definitions of Google and Kubernetes that it pins.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]

use std::path::Path;
use std::process::Command;

#[test]
fn committed_tables_are_what_the_generator_writes() {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let mut generators = folders.map(|folder| folder.join("emulators/schemas/generate"));
    let output =
        Command::new(generators.find(|path| path.exists()).unwrap()).arg("--check").output().unwrap();
    let (told, wrong) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{told}{wrong}");
}
