//! Rendered documents: what the file asks for, in the words of the APIs.

use crate::resource::ResourceId;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One rendered document: a request body or a manifest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// Whose document it is.
    pub id: ResourceId,
    /// The template it came from, e.g. `instance.json.j2`.
    pub template: String,
    /// The body as the API takes it. For the ensemble: `{"voters": N, "fixedSize": N, "settings": {..}}`.
    pub body: Value,
}

/// Everything the file asks for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Desired {
    /// In the order of creation; ids are unique.
    pub documents: Vec<Document>,
}

impl Desired {
    /// The document of a resource, if the file asks for it.
    #[must_use]
    pub fn get(&self, id: &ResourceId) -> Option<&Document> {
        self.documents.iter().find(|document| document.id == *id)
    }
}

/// The label that says which ensemble a resource belongs to: on Google resources and, with the `zkprov.dev/` prefix,
/// on Kubernetes objects.
pub const ENSEMBLE_LABEL: &str = "zkprov-ensemble";
/// The same on Kubernetes objects.
pub const KUBE_ENSEMBLE_LABEL: &str = "zkprov.dev/ensemble";
/// The label of pods with volumes, beside those of a Deployment that is being left.
pub const STORAGE_LABEL: &str = "zkprov.dev/storage";
/// The label of the pods of scheduled backups, with the ensemble's name.
pub const BACKUP_LABEL: &str = "zkprov.dev/backup-of";
/// Firewall rules and resource policies carry no labels: their description ends with this and the ensemble's name.
pub const OWNER_MARK: &str = "managed by zkprov for ensemble ";
/// The field manager of our server-side applies.
pub const FIELD_MANAGER: &str = "zkprov";
/// The metadata item of the file server's VM that holds the digest of its start-up script. The VM's report
/// (guest attribute `fileserver/status`) carries the same digest when it is about this script.
pub const GENERATION_METADATA: &str = "zkprov-generation";
