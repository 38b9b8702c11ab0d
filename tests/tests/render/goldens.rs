//! One golden for each example. After a deliberate change: `INSTA_UPDATE=always cargo test -p zkprov-tests --test render`,
//! and read the difference.

use zkprov_plans::document::{Desired, Document};

fn settings() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../../golden/render");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings
}

fn startup_script(document: &Document) -> Option<&str> {
    let items = document.body.pointer("/metadata/items")?.as_array()?;
    items.iter().find(|item| item["key"] == "startup-script")?["value"].as_str()
}

/// The bodies as `render` prints them; the start-up script, which has a golden of its own, is left out.
fn show(sets: &[Desired]) -> String {
    let mut out = String::new();
    for document in sets.iter().flat_map(|desired| &desired.documents) {
        let mut body = document.body.clone();
        if let Some(script) = startup_script(document) {
            let items = body["metadata"]["items"].as_array_mut().unwrap();
            let item = items.iter_mut().find(|item| item["key"] == "startup-script").unwrap();
            item["value"] = format!("({} lines)", script.lines().count()).into();
        }
        let text = serde_saphyr::to_string(&body).unwrap();
        out.push_str(&format!("# {}  ({})\n{text}\n", document.id, document.template));
    }
    out
}

#[test]
fn every_example_renders_as_its_golden_says() {
    let examples = crate::rendered_examples();
    assert!(examples.len() >= 8, "{} examples", examples.len());
    settings().bind(|| {
        for (name, documents) in &examples {
            insta::assert_snapshot!(name.as_str(), show(documents));
        }
    });
}

#[test]
fn startup_scripts_with_and_without_smb() {
    let examples = crate::rendered_examples();
    settings().bind(|| {
        for (example, golden) in [("single", "startup-script"), ("production", "startup-script-without-smb")]
        {
            let (_, documents) = examples.iter().find(|(name, _)| name == example).unwrap();
            let script =
                documents.iter().flat_map(|desired| &desired.documents).find_map(startup_script).unwrap();
            insta::assert_snapshot!(golden, script);
        }
    });
}

#[test]
fn ids_are_unique_across_the_documents_of_a_file() {
    for (name, documents) in &*crate::EVERY_SET {
        let mut ids: Vec<_> =
            documents.iter().flat_map(|desired| &desired.documents).map(|d| &d.id).collect();
        let count = ids.len();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}");
    }
}

/// A template that nothing renders is one that nothing tests.
#[test]
fn every_template_is_used() {
    let used: Vec<_> = crate::EVERY_SET
        .iter()
        .flat_map(|(_, sets)| sets)
        .flat_map(|desired| desired.documents.iter().map(|document| document.template.as_str()))
        .collect();
    for name in zkprov_templates::names() {
        // Parts of other documents, and none of their own.
        let part = ["startup-script.sh.j2", "pod.yaml.j2"].contains(name);
        assert!(used.contains(name) || part, "{name}");
    }
}
