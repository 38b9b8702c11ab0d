//! The JSON Schema that editors use is the one of this version. `UPDATE_GOLDEN=1` rewrites it.

use std::fs;
use std::path::Path;

#[test]
fn the_schema_of_the_examples_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/zkprov.schema.json");
    let text = format!("{}\n", serde_json::to_string_pretty(&zkprov_plans::spec::schema()).unwrap());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, &text).unwrap();
    }
    assert!(
        fs::read_to_string(&path).unwrap_or_default() == text,
        "{} is old: run with UPDATE_GOLDEN=1",
        path.display()
    );
}
