//! Specs for the unit tests.

use zkprov_plans::spec::{Defaults, Source, ValidSpec, load};

/// The least that a file can say, which is the tutorial's: every default filled in.
pub(crate) fn tutorial() -> ValidSpec {
    let text = "apiVersion: zkprov.dev/v1\nkind: Ensemble\nspec:\n  project: my-project\n  zone: us-east1-d\n  \
                exhibitor: {replicas: 3}\n";
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let mut loaded = load(&[source], &[], &|_| None, &Defaults::default());
    assert!(loaded.diagnostics.is_empty(), "{:#?}", loaded.diagnostics);
    loaded.specs.remove(0)
}
