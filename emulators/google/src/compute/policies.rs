//! Resource policies: snapshot schedules of disks.

use super::failure::Failure;
use super::operations::{Begin, Effect, set, takes};
use super::route::link;
use super::{Change, Compute, Document, newborn, schema, unsupported};
use crate::api::Context;
use serde_json::Value;

impl Compute {
    pub(super) fn change_policies(
        &mut self,
        change: Change<'_>,
        context: &mut Context<'_>,
    ) -> Result<Value, Failure> {
        let Change { request, route, body } = change;
        let path = route.path();
        let begin = |kind, effect| Begin { kind, target: &path, takes: takes::SMALL_CHANGE, effect };
        match (request.method.as_str(), route.name.is_some(), route.verb.as_deref()) {
            ("POST", false, None) => {
                let body = schema::check("ResourcePolicy", body)?;
                let path = self.vacant(route, &body)?;
                let mut policy = newborn("resourcePolicy", &path, body, context);
                set(&mut policy, [("region", link(&route.parent()).into()), ("status", "READY".into())]);
                complete_schedule(&mut policy)?;
                self.resources.insert(path.clone(), policy);
                let begin = Begin {
                    kind: "insert",
                    target: &path,
                    takes: takes::SMALL_CHANGE,
                    effect: Effect::Nothing,
                };
                Ok(self.begin(route, &begin, context))
            }
            ("PATCH", true, None) => {
                let body = schema::check("ResourcePolicy", body)?;
                let mut policy = self.get(&path)?.clone();
                for field in ["description", "snapshotSchedulePolicy"] {
                    if let Some(value) = body.get(field) {
                        policy.insert(field.into(), value.clone());
                    }
                }
                complete_schedule(&mut policy)?;
                self.resources.insert(path.clone(), policy);
                Ok(self.begin(route, &begin("compute.resourcePolicies.patch", Effect::Nothing), context))
            }
            ("DELETE", true, None) => {
                self.get(&path)?;
                let user = self.resources.iter().find(|(_, document)| {
                    super::disks::strings(document.get("resourcePolicies")).contains(&link(&path))
                });
                if let Some((user, _)) = user {
                    return Err(Failure::in_use("resource_policy", &path, user));
                }
                if self.being_removed(&path) {
                    return Err(Failure::not_ready(&path));
                }
                Ok(self.begin(route, &begin("delete", Effect::Removed), context))
            }
            _ => Err(unsupported(request)),
        }
    }
}

/// Checks a snapshot schedule and adds the length of its window, four hours.
fn complete_schedule(policy: &mut Document) -> Result<(), Failure> {
    let field = "resource.snapshotSchedulePolicy.schedule";
    let Some(snapshots) = policy.get_mut("snapshotSchedulePolicy") else { return Ok(()) };
    let schedule = snapshots
        .get_mut("schedule")
        .and_then(Value::as_object_mut)
        .ok_or_else(|| Failure::required(field))?;
    for kind in ["hourlySchedule", "dailySchedule"] {
        if let Some(Value::Object(cycle)) = schedule.get_mut(kind) {
            let start = cycle.get("startTime").and_then(Value::as_str).unwrap_or_default();
            if !is_hour(start) {
                let why = "Must be a full hour, HH:00.";
                return Err(Failure::invalid(&format!("{field}.{kind}.startTime"), start, why));
            }
            cycle.entry("duration").or_insert_with(|| "PT14400S".into());
        }
    }
    let days = snapshots.pointer("/retentionPolicy/maxRetentionDays").and_then(Value::as_i64);
    match days {
        None | Some(1..) => Ok(()),
        Some(days) => Err(Failure::invalid(
            "resource.snapshotSchedulePolicy.retentionPolicy.maxRetentionDays",
            &days.to_string(),
            "Must be at least 1.",
        )),
    }
}

fn is_hour(text: &str) -> bool {
    text.split_once(':').is_some_and(|(hour, minute)| {
        hour.len() == 2 && minute == "00" && hour.parse::<u8>().is_ok_and(|hour| hour < 24)
    })
}
