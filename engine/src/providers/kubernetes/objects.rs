//! Objects of one API server: reading, the dry-run of an apply, applying and deleting.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::providers::kubernetes::KubernetesProvider;
use crate::providers::kubernetes::api::{Failure, READ, Refusal, WRITE, plain};
use futures::future::join;
use http::Method;
use kube::api::{DeleteParams, GetParams, ListParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use serde_json::{Value, json};
use zkprov_plans::document::{FIELD_MANAGER, KUBE_ENSEMBLE_LABEL};
use zkprov_plans::observed::{Gap, Live, Ownership, Reading};
use zkprov_plans::resource::{KubeKind, ResourceId, ResourceKind, Scope};

/// A Kubernetes object's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) kind: KubeKind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Place {
    /// The place a resource id names; `None` for what is no Kubernetes object.
    pub(crate) fn of(id: &ResourceId) -> Option<Self> {
        match (id.kind, &id.scope) {
            (ResourceKind::Kube(kind), Scope::Kube { namespace, .. }) => {
                Some(Self { kind, namespace: namespace.clone(), name: id.name.clone() })
            }
            _ => None,
        }
    }

    /// `deployment exhibitor in namespace default`
    pub(crate) fn text(&self) -> String {
        let kind = self.kind.api().kind;
        if self.kind.api().namespaced {
            format!("{kind} {} in namespace {}", self.name, self.namespace)
        } else {
            format!("{kind} {}", self.name)
        }
    }

    pub(crate) fn request(&self) -> Request {
        Request::new(collection(self.kind, Some(&self.namespace)))
    }
}

/// The path of a kind's collection: of one namespace, or of all.
pub(crate) fn collection(kind: KubeKind, namespace: Option<&str>) -> String {
    let api = kind.api();
    let root = if api.api_version.contains('/') { "apis" } else { "api" };
    match namespace {
        Some(namespace) if api.namespaced => {
            format!("/{root}/{}/namespaces/{namespace}/{}", api.api_version, api.plural)
        }
        Some(_) | None => format!("/{root}/{}/{}", api.api_version, api.plural),
    }
}

/// A string at a JSON pointer.
pub(crate) fn text<'a>(document: &'a Value, pointer: &str) -> Option<&'a str> {
    document.pointer(pointer).and_then(Value::as_str)
}

/// The ensemble an object says it belongs to.
pub(crate) fn mark(document: &Value) -> Option<&str> {
    document.get("metadata")?.get("labels")?.get(KUBE_ENSEMBLE_LABEL)?.as_str()
}

/// Whose a live object is for `ensemble`; without one, whoever's mark it carries: a deletion has no body, and only a plan
/// that found the object its own asks for one.
fn ownership(document: &Value, ensemble: Option<&str>) -> Ownership {
    match mark(document) {
        None => Ownership::Foreign,
        Some(owner) if ensemble.is_none_or(|ensemble| ensemble == owner) => Ownership::Ours,
        Some(owner) => Ownership::Other(owner.to_owned()),
    }
}

/// What the dry-run of our body came to.
enum Predicted {
    /// The object as it would be.
    Object(Value),
    /// The API's `Status`: the body is wrong, or an admission policy refuses it.
    Refused(Box<Refusal>),
    /// We may not write, so there is no prediction.
    NotAllowed,
    /// The namespace does not exist yet.
    NoNamespace,
}

/// Rights and admission both answer 403; the authorizer's message is the one with the verb of the request.
fn lacks_rights(refusal: &Refusal) -> bool {
    refusal.code == 401 || (refusal.code == 403 && refusal.message.contains("cannot patch resource"))
}

impl KubernetesProvider {
    /// Reads an object and what a forced server-side apply of `body` would make of it, both at once.
    pub(crate) async fn read(&self, id: &ResourceId, body: &Value) -> Result<Reading<Live>, ProviderError> {
        let Some(place) = Place::of(id) else { return Err(not_ours(id)) };
        let (object, predicted) = join(self.get(&place), self.predict(&place, body)).await;
        let Some(document) = object? else { return absent(&place, predicted?) };
        let predicted = match predicted? {
            Some(Predicted::Object(object)) => Some(object),
            Some(Predicted::Refused(refusal)) => Some(refusal.status),
            Some(Predicted::NotAllowed | Predicted::NoNamespace) | None => None,
        };
        let ownership = ownership(&document, mark(body));
        Ok(Reading::Known(Live { document, predicted, ownership }))
    }

    /// Reads an object; `None` when it is not there.
    pub(crate) async fn get(&self, place: &Place) -> Result<Option<Value>, ProviderError> {
        let doing = || format!("reading {}", place.text());
        let look = || async {
            match self.api.json(place.request().get(&place.name, &GetParams::default()), READ).await {
                Ok(document) if document.is_object() => Ok(Some(document)),
                Ok(_) => Err(Failure::Lost("the answer is no object".to_owned()).of_read(doing())),
                Err(failure) if failure.is_not_found() => Ok(None),
                Err(failure) => Err(failure.of_read(doing())),
            }
        };
        self.patiently(look).await
    }

    async fn predict(&self, place: &Place, body: &Value) -> Result<Option<Predicted>, ProviderError> {
        if !body.is_object() {
            return Ok(None);
        }
        let params = PatchParams::apply(FIELD_MANAGER).force().dry_run().validation_strict();
        let look = || async {
            let request = place.request().patch(&place.name, &params, &Patch::Apply(body));
            match self.api.json(request, READ).await {
                Ok(object) => Ok(Some(Predicted::Object(object))),
                Err(Failure::Refused(refusal)) if lacks_rights(&refusal) => Ok(Some(Predicted::NotAllowed)),
                Err(Failure::Refused(refusal)) if refusal.code == 404 => Ok(Some(Predicted::NoNamespace)),
                Err(Failure::Refused(refusal)) if matches!(refusal.code, 400 | 403 | 409 | 422) => {
                    Ok(Some(Predicted::Refused(refusal)))
                }
                Err(failure) => Err(failure.of_read(format!("trying {} without writing", place.text()))),
            }
        };
        self.patiently(look).await
    }

    /// All objects of a kind that carry an ensemble's mark, of all namespaces, or of these where all can't be listed.
    pub(crate) async fn marked(
        &self,
        kind: KubeKind,
        ensembles: &[String],
        namespaces: &[String],
    ) -> Result<Vec<(ResourceId, Value)>, ProviderError> {
        let mut selected = ensembles.to_vec();
        selected.sort();
        selected.dedup();
        let selector = format!("{KUBE_ENSEMBLE_LABEL} in ({})", selected.join(","));
        let params = ListParams::default().labels(&selector);
        let mut items = Vec::new();
        match self.list(collection(kind, None), &params).await {
            Ok(found) => items = found.0,
            Err(error) if error.kind == ProviderErrorKind::Denied && kind.api().namespaced => {
                for namespace in namespaces {
                    items.extend(self.list(collection(kind, Some(namespace)), &params).await?.0);
                }
            }
            // The cluster is too old for the kind: there can be none.
            Err(error) if error.kind == ProviderErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(items.into_iter().filter_map(|item| self.identified(kind, item)).collect())
    }

    fn identified(&self, kind: KubeKind, mut item: Value) -> Option<(ResourceId, Value)> {
        let name = text(&item, "/metadata/name")?.to_owned();
        let namespace = text(&item, "/metadata/namespace").unwrap_or("-").to_owned();
        // Items of a list carry neither; alone they do.
        let object = item.as_object_mut()?;
        object.insert("apiVersion".to_owned(), json!(kind.api().api_version));
        object.insert("kind".to_owned(), json!(kind.api().kind));
        let scope = Scope::Kube { cluster: self.cluster.clone(), namespace };
        Some((ResourceId { kind: ResourceKind::Kube(kind), scope, name }, item))
    }

    /// The items of a collection, and the resource version from which a watch continues.
    pub(crate) async fn list(
        &self,
        path: String,
        params: &ListParams,
    ) -> Result<(Vec<Value>, String), ProviderError> {
        let doing = || format!("listing {path}");
        let look = || async {
            let answer = self.api.json(Request::new(path.clone()).list(params), READ).await;
            let mut answer = answer.map_err(|failure| failure.of_read(doing()))?;
            let version = text(&answer, "/metadata/resourceVersion").unwrap_or_default().to_owned();
            match answer.get_mut("items").map(Value::take) {
                Some(Value::Array(items)) => Ok((items, version)),
                // Go writes an empty list as null now and then.
                Some(Value::Null) => Ok((Vec::new(), version)),
                _ => Err(Failure::Lost("the answer has no items".to_owned()).of_read(doing())),
            }
        };
        self.patiently(look).await
    }

    /// Server-side apply as our field manager, on what `live` says.
    ///
    /// An existing object is named by uid and resource version, so that a write in between is a conflict. One that was
    /// absent is applied without force: somebody else's fields in between are a conflict too.
    pub(crate) async fn apply(
        &self,
        place: &Place,
        body: &Value,
        live: &Reading<Live>,
    ) -> Result<(), ProviderError> {
        let doing = format!("applying {}", place.text());
        let mut body = body.clone();
        let mut params = PatchParams::apply(FIELD_MANAGER).validation_strict();
        match live {
            Reading::Known(live) => {
                params = params.force();
                let metadata = body.get_mut("metadata").and_then(Value::as_object_mut);
                let metadata = metadata.ok_or_else(|| {
                    ProviderError::new(ProviderErrorKind::Invalid, doing.clone(), "the body has no metadata")
                })?;
                for key in ["uid", "resourceVersion"] {
                    if let Some(value) = text(&live.document, &format!("/metadata/{key}")) {
                        metadata.insert(key.to_owned(), json!(value));
                    }
                }
            }
            Reading::Absent => {}
            Reading::Unavailable(gap) => return Err(unread(doing, gap)),
        }
        let request = place.request().patch(&place.name, &params, &Patch::Apply(&body));
        self.api.json(request, WRITE).await.map(drop).map_err(|failure| failure.of_write(doing))
    }

    /// Deletes the object that `live` is; one that is gone already is fine.
    ///
    /// What runs pods goes in the foreground: when it is gone its pods are gone, and with them their mounts. Its status
    /// moves all the time, so only its uid is a condition. A StatefulSet that comes back (`again`) leaves its pods running:
    /// the new one takes them over.
    pub(crate) async fn delete(
        &self,
        place: &Place,
        live: &Reading<Live>,
        again: bool,
    ) -> Result<(), ProviderError> {
        let doing = format!("deleting {}", place.text());
        let live = match live {
            Reading::Known(live) => live,
            Reading::Absent => return Ok(()),
            Reading::Unavailable(gap) => return Err(unread(doing, gap)),
        };
        let field = |pointer| text(&live.document, pointer).map(str::to_owned);
        let (steady, params) = match place.kind {
            KubeKind::StatefulSet if again => (false, DeleteParams::orphan()),
            KubeKind::Deployment | KubeKind::StatefulSet | KubeKind::Namespace | KubeKind::CronJob => {
                (false, DeleteParams::foreground())
            }
            KubeKind::PersistentVolumeClaim => (false, DeleteParams::background()),
            KubeKind::ConfigMap
            | KubeKind::Service
            | KubeKind::ServiceAccount
            | KubeKind::Role
            | KubeKind::RoleBinding
            | KubeKind::PodDisruptionBudget
            | KubeKind::NetworkPolicy
            | KubeKind::ValidatingAdmissionPolicy
            | KubeKind::ValidatingAdmissionPolicyBinding => (true, DeleteParams::background()),
        };
        let params = params.preconditions(Preconditions {
            uid: field("/metadata/uid"),
            resource_version: field("/metadata/resourceVersion").filter(|_| steady),
        });
        match self.api.json(place.request().delete(&place.name, &params), WRITE).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) => Err(failure.of_write(doing)),
        }
    }

    /// The pods, in any namespace, that mount an NFS share of this server: `NAMESPACE/NAME`, sorted.
    ///
    /// # Errors
    /// When pods can't be listed: unread is not none.
    pub async fn pods_mounting(&self, server: &str) -> Result<Vec<String>, ProviderError> {
        let (pods, _) = self.list("/api/v1/pods".to_owned(), &ListParams::default()).await?;
        let mounts = |pod: &&Value| {
            let volumes = pod.pointer("/spec/volumes").and_then(Value::as_array);
            volumes.is_some_and(|volumes| {
                volumes.iter().any(|volume| text(volume, "/nfs/server") == Some(server))
            }) && !matches!(text(pod, "/status/phase"), Some("Succeeded" | "Failed"))
        };
        let name = |pod: &Value| {
            let namespace = text(pod, "/metadata/namespace").unwrap_or_default();
            format!("{namespace}/{}", text(pod, "/metadata/name").unwrap_or_default())
        };
        let mut names: Vec<String> = pods.iter().filter(mounts).map(name).collect();
        names.sort();
        Ok(names)
    }

    /// Whether the API server answers at all.
    ///
    /// # Errors
    /// Why not.
    pub async fn answers(&self) -> Result<(), ProviderError> {
        let answer = self.api.json(plain(Method::GET, "/version"), READ).await;
        answer
            .map(drop)
            .map_err(|failure| failure.of_read(format!("asking cluster {} for its version", self.cluster)))
    }
}

fn absent(place: &Place, predicted: Option<Predicted>) -> Result<Reading<Live>, ProviderError> {
    match predicted {
        Some(Predicted::Refused(refusal)) => Ok(Reading::Unavailable(Gap {
            what: format!("what creating {} would make", place.text()),
            why: refusal.message,
            hint: "the cluster refuses the rendered document: `zkprov render` shows it".to_owned(),
        })),
        Some(Predicted::Object(_) | Predicted::NotAllowed | Predicted::NoNamespace) | None => {
            Ok(Reading::Absent)
        }
    }
}

fn unread(doing: String, gap: &Gap) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Stale, doing, format!("{}: {}", gap.what, gap.why)).hint(&gap.hint)
}

pub(crate) fn not_ours(id: &ResourceId) -> ProviderError {
    ProviderError::new(ProviderErrorKind::Invalid, format!("serving {id}"), "this provider does not serve it")
}
