//! Replays recorded traffic of Google's APIs against the world and compares the answers field by field.
//!
//! A service adds its logs as a module under `replay/`, with one `Script` for each log.

#[path = "replay/capture.rs"]
mod capture;
#[path = "replay/compute.rs"]
mod compute;
#[path = "replay/gcloud.rs"]
mod gcloud;
#[path = "replay/script.rs"]
mod script;
