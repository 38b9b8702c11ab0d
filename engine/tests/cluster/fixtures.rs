//! The spec and documents of one ensemble, as validation and rendering would make them.

use serde_json::Value;
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::plan::{Action, Change, Disruption, Precondition, ReadyWhen, Reason};
use zkprov_plans::spec::{Defaults, Source, ValidSpec, load};

pub(crate) fn spec() -> ValidSpec {
    let text = "apiVersion: zkprov.dev/v1\nkind: Ensemble\nmetadata: {name: exhibitor}\nspec:\n  project: my-project\n  \
                zone: us-east1-d\n  fileServer: {external: {server: files.example, path: /data}}\n  \
                cluster: {name: cluster-1, existing: true}\n  exhibitor: {replicas: 3}\n";
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &[], &|_| None, &Defaults::default());
    loaded.specs.into_iter().next().unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

pub(crate) fn document(id: &str, body: Value) -> Document {
    Document { id: id.parse().unwrap(), template: "t".to_owned(), body }
}

pub(crate) fn desired(documents: &[(&str, Value)]) -> Desired {
    Desired { documents: documents.iter().map(|(id, body)| document(id, body.clone())).collect() }
}

pub(crate) fn change(id: &str, action: Action, body: Value, ready_when: ReadyWhen) -> Change {
    Change {
        id: id.parse().unwrap(),
        action,
        reason: Reason::FieldsDiffer,
        diff: Vec::new(),
        body,
        calls: Vec::new(),
        via: None,
        precondition: Precondition::Absent,
        ready_when,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}
