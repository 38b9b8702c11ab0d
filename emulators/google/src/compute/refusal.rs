//! Changes that are taken and then fail: what was asked for is found impossible when the operation runs.

use super::Compute;
use super::operations::{Begin, Effect, takes};
use super::route::{Route, relative};
use crate::api::{Context, Request, Response};
use serde_json::{Value, json};

impl Compute {
    /// Lets a change fail that was just carried out and undone: an operation like that of `done`, its answer, which ends
    /// in these errors (code and text). `None` when the answer is no operation.
    pub fn fail(
        &mut self,
        request: &Request,
        done: &Value,
        errors: &[(&str, String)],
        context: &mut Context<'_>,
    ) -> Option<Response> {
        let route = Route::parse(&request.segments())?;
        let kind = done.get("operationType")?.as_str()?;
        let target = relative(done.get("targetLink")?.as_str()?)?;
        let begin = Begin { kind, target, takes: takes::SMALL_CHANGE, effect: Effect::Nothing };
        let mut answer = self.begin(&route, &begin, context);
        answer["targetId"] = done.get("targetId").cloned().unwrap_or_default();
        let errors: Vec<Value> =
            errors.iter().map(|(code, message)| json!({ "code": code, "message": message })).collect();
        let path = self.begun.take()?;
        if let Some(operation) = self.operations.get_mut(&path) {
            operation.document.insert("targetId".to_owned(), answer["targetId"].clone());
            operation.error = Some(json!({ "errors": errors }));
        }
        if let Some(id) = request.query("requestId") {
            self.request_ids.insert(format!("{} {} {id}", request.method, request.path), path);
        }
        Some(Response::json(200, &answer))
    }
}
