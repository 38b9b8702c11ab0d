//! Jobs made from a CronJob beside its schedule.

use super::KubernetesProvider;
use super::api::{READ, WRITE, plain};
use super::objects::{Place, not_ours, text};
use super::ready::pods_path;
use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::wait::Deadline;
use http::Method;
use kube::api::{ListParams, PostParams};
use kube::core::Request;
use serde_json::{Value, json};
use zkprov_plans::pods;
use zkprov_plans::resource::{KubeApi, KubeKind, ResourceId};

/// Lines of its log that are shown.
const LINES: u32 = 20;

/// How a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Name of the Job.
    pub name: String,
    /// Why it failed; none of one that did its work.
    pub failure: Option<String>,
    /// The last lines of its last pod's log.
    pub log: Vec<String>,
}

impl KubernetesProvider {
    /// Makes a Job from a CronJob, as `kubectl create job --from` does, and waits for its end, at most for the pace's deadline of a
    /// step. One that is given up goes on by itself.
    ///
    /// # Errors
    /// When there is no such CronJob, when the Job can't be made or read, or does not end in time.
    pub(crate) async fn run_job(
        &self,
        cron_job: &ResourceId,
        progress: Progress<'_>,
    ) -> Result<Ended, ProviderError> {
        let Some(place) = Place::of(cron_job) else { return Err(not_ours(cron_job)) };
        let live = self.get(&place).await?.ok_or_else(|| {
            let message = "it is not in the cluster";
            ProviderError::new(ProviderErrorKind::NotFound, format!("reading {}", place.text()), message)
                .hint("`zkprov apply` creates it")
        })?;
        let name = self.start_job(&place, &live).await?;
        let job = Place { name, ..place };
        progress(Course::Doing(format!("job {} is made", job.name)));
        let deadline = Deadline::after(self.pace.step, &self.pace);
        let mut said = String::new();
        loop {
            let document = self.json_of(&job).await?;
            let pods = self.pods_of(&job).await?;
            if let Some(failure) = end(&document) {
                let log = match pods.last() {
                    Some(pod) => self.log_of(&job, &pod.name).await,
                    None => Vec::new(),
                };
                return Ok(Ended { name: job.name, failure, log });
            }
            let words = match pods.last() {
                None => "no pod of it is there yet".to_owned(),
                Some(pod) => format!("pod {}", pod.words()),
            };
            if deadline.has_passed() {
                let message = format!("not done after {} s: {words}", deadline.seconds());
                let doing = format!("waiting for job {}", job.name);
                let hint = format!(
                    "it goes on by itself: `kubectl describe job {} --namespace {}`",
                    job.name, job.namespace
                );
                return Err(ProviderError::new(ProviderErrorKind::Deadline, doing, message).hint(hint));
            }
            if words != said {
                progress(Course::Doing(words.clone()));
                said = words;
            }
            tokio::time::sleep(self.pace.poll).await;
        }
    }

    async fn start_job(&self, place: &Place, cron_job: &Value) -> Result<String, ProviderError> {
        let doing = || format!("making a job of {}", place.text());
        let KubeApi { api_version, kind, .. } = KubeKind::CronJob.api();
        let template = |pointer: &str| cron_job.pointer(&format!("/spec/jobTemplate{pointer}")).cloned();
        let mut annotations = template("/metadata/annotations").unwrap_or_else(|| json!({}));
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.insert("cronjob.kubernetes.io/instantiate".to_owned(), json!("manual"));
        }
        let body = json!({
            "apiVersion": api_version,
            "kind": "Job",
            "metadata": {
                "generateName": format!("{}-", place.name),
                "namespace": place.namespace,
                "labels": template("/metadata/labels").unwrap_or_else(|| json!({})),
                "annotations": annotations,
                // It goes with the CronJob, and counts among its old ones.
                "ownerReferences": [{
                    "apiVersion": api_version, "kind": kind, "name": place.name,
                    "uid": cron_job.pointer("/metadata/uid"), "controller": true,
                }],
            },
            "spec": template("/spec").unwrap_or_default(),
        });
        let request = Request::new(jobs_path(&place.namespace))
            .create(&PostParams::default(), body.to_string().into_bytes());
        let made = self.api.json(request, WRITE).await.map_err(|failure| failure.of_write(doing()))?;
        let name = text(&made, "/metadata/name").map(str::to_owned);
        name.ok_or_else(|| ProviderError::new(ProviderErrorKind::Failed, doing(), "the answer names no job"))
    }

    async fn json_of(&self, job: &Place) -> Result<Value, ProviderError> {
        let path = format!("{}/{}", jobs_path(&job.namespace), job.name);
        let look = || async {
            let answer = self.api.json(plain(Method::GET, &path), READ).await;
            answer.map_err(|failure| failure.of_read(format!("reading job {}", job.name)))
        };
        self.patiently(look).await
    }

    async fn pods_of(&self, job: &Place) -> Result<Vec<zkprov_plans::observed::Pod>, ProviderError> {
        let params = ListParams::default().labels(&format!("batch.kubernetes.io/job-name={}", job.name));
        let (documents, _) = self.list(pods_path(&job.namespace), &params).await?;
        Ok(pods::pods(&documents))
    }

    /// None where there are none to be had: the job's own state says how it ended.
    async fn log_of(&self, job: &Place, pod: &str) -> Vec<String> {
        let path = format!("{}/{pod}/log?tailLines={LINES}", pods_path(&job.namespace));
        let Ok(request) = plain(Method::GET, &path) else { return Vec::new() };
        let log = self.api.text(request, READ).await.unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

fn jobs_path(namespace: &str) -> String {
    format!("/apis/batch/v1/namespaces/{namespace}/jobs")
}

/// Whether a Job has ended; if so, why it failed, if it did.
fn end(job: &Value) -> Option<Option<String>> {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().filter(|one| text(one, "/status") == Some("True")).find_map(|one| {
        match text(one, "/type")? {
            "Complete" => Some(None),
            "Failed" => {
                let field = |pointer| text(one, pointer).unwrap_or_default();
                Some(Some(format!("{}: {}", field("/reason"), field("/message"))))
            }
            _ => None,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_ends_by_its_conditions() {
        let job = |conditions: Value| end(&json!({"status": {"conditions": conditions}}));
        assert_eq!(end(&json!({"status": {}})), None);
        assert_eq!(job(json!([{"type": "FailureTarget", "status": "True"}])), None);
        assert_eq!(job(json!([{"type": "Complete", "status": "False"}])), None);
        let done =
            json!([{"type": "SuccessCriteriaMet", "status": "True"}, {"type": "Complete", "status": "True"}]);
        assert_eq!(job(done), Some(None));
        let failed = json!([{"type": "Failed", "status": "True", "reason": "DeadlineExceeded", "message": "too late"}]);
        assert_eq!(job(failed), Some(Some("DeadlineExceeded: too late".to_owned())));
    }
}
