//! `/_sandbox/…`: what the sandbox itself is asked, on every Google endpoint of it.
//!
//! | call | does |
//! | --- | --- |
//! | `GET faults` | lists the fault rules with their counters |
//! | `POST faults` | adds a rule: its JSON, or `{"rule": "status=503,nth=1"}` |
//! | `DELETE faults` | removes all rules |
//! | `GET images` | which images cannot be pulled |
//! | `PUT images` | sets it: `{"schema1Refused": true, "denied": ["REPOSITORY"], "missing": ["REPOSITORY:TAG"]}` |
//! | `GET reality` | which switches of [`crate::reality`] are on |
//! | `PUT reality` | sets all switches: `{"like": "trial", "set": {"quota.CPUS": 8}}`, either part by itself too |
//! | `PATCH reality` | sets these switches and leaves the others as they are; `null` switches off |
//! | `GET gke` | the switches of GKE ([`crate::google::container::Settings`]) |
//! | `PUT gke` | sets all of them; those that are left out are off |
//! | `GET world` | the whole world |
//! | `GET log` | recent requests |
//! | `POST advance` | `{"seconds": N}` moves virtual time on |

use super::core::Core;
use super::http::refuse;
use super::store::StoreError;
use crate::api::{Request, Response};
use crate::faults::Rule;
use crate::google::container::Settings;
use crate::kubernetes::ImageFaults;
use crate::reality::{Change, Reality};
use serde_json::{Value, json};

/// Answers a call; `path` is what follows `/_sandbox/`.
pub(crate) fn answer(core: &Core, path: &str, request: &Request) -> Response {
    let body = match request.json() {
        Ok(body) => body,
        Err(error) => return refuse(400, &format!("the body is not JSON: {error}")),
    };
    match (request.method.as_str(), path) {
        ("GET", "faults") => Response::json(200, &list_faults(core)),
        ("POST", "faults") => match rule_of(&body) {
            Ok(rule) => {
                core.faults(|faults| faults.push(rule));
                Response::json(200, &list_faults(core))
            }
            Err(problem) => refuse(400, &problem),
        },
        ("DELETE", "faults") => {
            core.faults(crate::faults::Faults::clear);
            Response::json(200, &list_faults(core))
        }
        ("GET", "images") => match core.look(|world| world.image_faults.clone()) {
            Ok(faults) => Response::json(200, &json!(faults)),
            Err(error) => refuse(500, &error.to_string()),
        },
        ("PUT", "images") => match serde_json::from_value::<ImageFaults>(body) {
            Ok(faults) => match core.refuse_images(faults.clone()) {
                Ok(()) => Response::json(200, &json!(faults)),
                Err(error) => refuse(500, &error.to_string()),
            },
            Err(error) => refuse(400, &format!("not what images takes: {error}")),
        },
        ("GET", "reality") => told(core.reality()),
        ("PUT" | "PATCH", "reality") => match Change::read(&body) {
            Ok(change) => told(core.set_reality(|reality| {
                if request.method == "PUT" {
                    *reality = Reality::default();
                }
                reality.apply(&change);
                true
            })),
            Err(error) => refuse(400, &error.to_string()),
        },
        ("GET", "gke") => gke(core.look(|world| world.google.container.settings().clone())),
        ("PUT", "gke") => match serde_json::from_value::<Settings>(body) {
            Ok(settings) => gke(core.alter(|world| {
                world.google.container.set_settings(settings, world.now);
                world.google.container.settings().clone()
            })),
            Err(error) => refuse(400, &format!("not the switches of GKE: {error}")),
        },
        ("GET", "log") => Response::json(200, &json!({ "requests": core.log() })),
        ("GET", "world") => match core.world().map(serde_json::to_value) {
            Ok(Ok(world)) => Response::json(200, &world),
            Ok(Err(error)) => refuse(500, &error.to_string()),
            Err(error) => refuse(500, &error.to_string()),
        },
        ("POST", "advance") => match body.get("seconds").and_then(Value::as_u64) {
            Some(seconds) => match core.advance(seconds.saturating_mul(1000)) {
                Ok(now) => Response::json(200, &json!({ "now": now })),
                Err(error) => refuse(500, &error.to_string()),
            },
            None => refuse(400, "the body must be {\"seconds\": N}, N a whole number"),
        },
        (method, _) => refuse(404, &format!("the sandbox knows no {method} /_sandbox/{path}")),
    }
}

fn told(reality: Result<Reality, StoreError>) -> Response {
    match reality {
        Ok(reality) => Response::json(200, &reality.summary()),
        Err(error) => refuse(500, &error.to_string()),
    }
}

fn gke(settings: Result<Settings, StoreError>) -> Response {
    match settings {
        Ok(settings) => Response::json(200, &json!(settings)),
        Err(error) => refuse(500, &error.to_string()),
    }
}

fn list_faults(core: &Core) -> Value {
    let rules: Vec<Value> = core.faults(|faults| {
        faults.rules().iter().map(|(rule, count)| json!({ "rule": rule, "matched": count })).collect()
    });
    json!({ "faults": rules })
}

fn rule_of(body: &Value) -> Result<Rule, String> {
    match body.get("rule").and_then(Value::as_str) {
        Some(text) => text.parse().map_err(|error: crate::faults::RuleError| error.to_string()),
        None => serde_json::from_value(body.clone()).map_err(|error| format!("not a fault rule: {error}")),
    }
}
