//! A scripted HTTP server on loopback, and the specs and changes that the tests send through the providers.

pub(crate) mod server;

use serde_json::{Value, json};
use std::time::Duration;
use zkprov_engine::connection::{Connection, CredentialSource, Endpoints, Pace};
use zkprov_plans::document::{Desired, Document};
use zkprov_plans::observed::{Live, Ownership, Reading};
use zkprov_plans::plan::{Action, Call, Change, Disruption, Fingerprint, Precondition, ReadyWhen, Reason};
use zkprov_plans::resource::ResourceId;
use zkprov_plans::spec::{Defaults, Source, ValidSpec, load};

/// Everything at one server, nobody's credentials, and pauses of milliseconds.
pub(crate) fn connection(url: &str) -> Connection {
    let endpoint = Some(url.to_owned());
    Connection {
        in_cluster: false,
        endpoints: Endpoints {
            compute: endpoint.clone(),
            container: endpoint.clone(),
            filestore: endpoint.clone(),
            storage: endpoint,
        },
        credentials: CredentialSource::Anonymous,
        pace: Pace {
            poll: Duration::from_millis(2),
            poll_max: Duration::from_millis(5),
            retry: Duration::from_millis(5),
            request: Duration::from_secs(30),
            ..Pace::default()
        },
        parallelism: 8,
    }
}

/// The tutorial's ensemble `exhibitor`.
pub(crate) fn spec() -> ValidSpec {
    let text = "apiVersion: zkprov.dev/v1\nkind: Ensemble\nmetadata: {name: exhibitor}\nspec:\n  project: my-project\n  \
                zone: us-east1-d\n  fileServer: {singleNode: {}}\n  cluster: {name: cluster-1}\n  \
                exhibitor: {replicas: 3}\n";
    let source = Source { name: "zkprov.yaml".to_owned(), text: text.to_owned() };
    let loaded = load(&[source], &[], &|_| None, &Defaults::default());
    loaded.specs.into_iter().next().unwrap_or_else(|| panic!("{:#?}", loaded.diagnostics))
}

pub(crate) fn id(text: &str) -> ResourceId {
    text.parse().expect("a resource id")
}

/// Desired documents with these ids and empty bodies.
pub(crate) fn desired(ids: &[&str]) -> Desired {
    let document = |text: &&str| Document { id: id(text), template: String::new(), body: json!({}) };
    Desired { documents: ids.iter().map(document).collect() }
}

pub(crate) fn change(of: &str, body: Value, call: Call) -> Change {
    Change {
        id: id(of),
        action: Action::Update,
        reason: Reason::FieldsDiffer,
        diff: Vec::new(),
        body,
        calls: vec![call],
        via: None,
        precondition: Precondition::Unchanged(Fingerprint(String::new())),
        ready_when: ReadyWhen::Done,
        disruption: Disruption::None,
        notes: Vec::new(),
    }
}

pub(crate) fn known(document: Value) -> Reading<Live> {
    Reading::Known(Live { document, predicted: None, ownership: Ownership::Ours })
}

/// A capture of the real API.
pub(crate) fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).expect("a fixture")).expect("JSON")
}
