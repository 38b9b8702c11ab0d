//! Every body through the API's own types and back. A field that is lost on the way is one the API does not know.

use google_cloud_compute_v1::model as compute;
use google_cloud_container_v1::model as container;
use google_cloud_filestore_v1::model as filestore;
use k8s_openapi::api;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use zkprov_plans::document::Document;
use zkprov_plans::resource::{KubeKind, ResourceKind};

/// Through a Kubernetes type, which drops what it does not know.
fn kubernetes<T: Serialize + DeserializeOwned>(body: &Value) -> Result<(), String> {
    let typed: T = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
    let back = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    lost(body, &back, "")
}

/// Through a Google type, which keeps what it does not know in a field of its own, and enums it does not know as text.
fn google<T: Serialize + DeserializeOwned + std::fmt::Debug>(body: &Value) -> Result<(), String> {
    let typed: T = serde_json::from_value(body.clone()).map_err(|error| error.to_string())?;
    let shown = format!("{typed:?}").replace("_unknown_fields: {}", "");
    for sign in ["_unknown_fields", "UnknownValue"] {
        if let Some((_, rest)) = shown.split_once(sign) {
            return Err(format!("{sign}{}", rest.chars().take(120).collect::<String>()));
        }
    }
    let back = serde_json::to_value(&typed).map_err(|error| error.to_string())?;
    lost(body, &back, "")
}

/// The first place where `sent` says something that `back` does not.
fn lost(sent: &Value, back: &Value, at: &str) -> Result<(), String> {
    match (sent, back) {
        (Value::Object(sent), Value::Object(back)) => {
            for (key, value) in sent {
                let at = format!("{at}/{key}");
                match back.get(key) {
                    Some(other) => lost(value, other, &at)?,
                    // A message drops what equals its default.
                    None if [json!(false), json!("UNSPECIFIED"), json!([])].contains(value) => {}
                    None => return Err(at),
                }
            }
            Ok(())
        }
        (Value::Array(sent), Value::Array(back)) if sent.len() == back.len() => {
            for (index, (one, other)) in sent.iter().zip(back).enumerate() {
                lost(one, other, &format!("{at}/{index}"))?;
            }
            Ok(())
        }
        // An enum that is known by name goes out as its number.
        (Value::String(_), Value::Number(_)) => Ok(()),
        (sent, back) if sent == back => Ok(()),
        (sent, back) => Err(format!("{at}: {sent} became {back}")),
    }
}

fn check(document: &Document) -> Result<(), String> {
    let body = &document.body;
    match document.id.kind {
        ResourceKind::Address => google::<compute::Address>(body),
        ResourceKind::Disk => google::<compute::Disk>(body),
        ResourceKind::SnapshotSchedule => google::<compute::ResourcePolicy>(body),
        ResourceKind::Firewall => google::<compute::Firewall>(body),
        ResourceKind::Instance => google::<compute::Instance>(body),
        ResourceKind::FilestoreInstance => google::<filestore::Instance>(body),
        ResourceKind::Cluster => google::<container::Cluster>(body),
        ResourceKind::NodePool => google::<container::NodePool>(body),
        ResourceKind::Kube(kind) => match kind {
            KubeKind::Namespace => kubernetes::<api::core::v1::Namespace>(body),
            KubeKind::ConfigMap => kubernetes::<api::core::v1::ConfigMap>(body),
            KubeKind::Service => kubernetes::<api::core::v1::Service>(body),
            KubeKind::ServiceAccount => kubernetes::<api::core::v1::ServiceAccount>(body),
            KubeKind::Role => kubernetes::<api::rbac::v1::Role>(body),
            KubeKind::RoleBinding => kubernetes::<api::rbac::v1::RoleBinding>(body),
            KubeKind::PodDisruptionBudget => kubernetes::<api::policy::v1::PodDisruptionBudget>(body),
            KubeKind::NetworkPolicy => kubernetes::<api::networking::v1::NetworkPolicy>(body),
            KubeKind::ValidatingAdmissionPolicy => {
                kubernetes::<api::admissionregistration::v1::ValidatingAdmissionPolicy>(body)
            }
            KubeKind::ValidatingAdmissionPolicyBinding => {
                kubernetes::<api::admissionregistration::v1::ValidatingAdmissionPolicyBinding>(body)
            }
            KubeKind::PersistentVolumeClaim => kubernetes::<api::core::v1::PersistentVolumeClaim>(body),
            KubeKind::Deployment => kubernetes::<api::apps::v1::Deployment>(body),
            KubeKind::StatefulSet => kubernetes::<api::apps::v1::StatefulSet>(body),
            KubeKind::CronJob => kubernetes::<api::batch::v1::CronJob>(body),
        },
        // Exhibitor's own format; no type describes it.
        ResourceKind::Ensemble => Ok(()),
    }
}

#[test]
fn every_field_of_every_document_is_one_its_api_knows() {
    for (name, sets) in &*crate::EVERY_SET {
        for document in sets.iter().flat_map(|desired| &desired.documents) {
            assert_eq!(check(document), Ok(()), "{name}: {}", document.id);
        }
    }
}

/// The check itself: in every document, one field with a wrong name has to be found wherever it stands.
#[test]
fn a_field_that_no_api_knows_is_found() {
    for document in &crate::any_set().documents {
        if document.id.kind == ResourceKind::Ensemble {
            continue;
        }
        for pointer in objects(&document.body) {
            let mut wrong = document.clone();
            let object = wrong.body.pointer_mut(&pointer).unwrap().as_object_mut().unwrap();
            object.insert("noSuchField".to_owned(), json!("x"));
            assert!(check(&wrong).is_err(), "{}: {pointer}", document.id);
        }
    }
}

/// Pointers to the objects in a body whose keys are the API's, not the user's.
fn objects(body: &Value) -> Vec<String> {
    const FREE: [&str; 8] =
        ["labels", "resourceLabels", "annotations", "matchLabels", "selector", "data", "requests", "limits"];
    let mut found = vec![String::new()];
    let mut index = 0;
    while let Some(at) = found.get(index).cloned() {
        index += 1;
        let children: Vec<String> = match body.pointer(&at) {
            Some(Value::Object(map)) => map
                .iter()
                .filter(|(key, value)| value.is_array() || value.is_object() && !FREE.contains(&key.as_str()))
                .map(|(key, _)| format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")))
                .collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|item| format!("{at}/{item}")).collect(),
            _ => vec![],
        };
        found.extend(children);
    }
    found.retain(|at| body.pointer(at).is_some_and(Value::is_object));
    found
}
