//! Suspending and resuming: the guest stands still, and goes on where it was.

use super::Compute;
use super::failure::Failure;
use super::operations::{Effect, set, takes, timestamp};
use crate::api::Time;
use serde_json::Value;

impl Compute {
    /// `suspend` of a running instance, `resume` of a suspended one.
    pub(super) fn switch_suspension(
        &mut self,
        path: &str,
        verb: &str,
        now: Time,
    ) -> Result<(&'static str, u64, Effect), Failure> {
        if self.busy(path) {
            return Err(Failure::not_ready(path));
        }
        let instance = self.get_mut(path)?;
        let status = instance.get("status").and_then(Value::as_str).unwrap_or_default();
        match (verb, status) {
            ("suspend", "RUNNING") => {
                set(instance, [("status", "SUSPENDING".into())]);
                if let Some(guest) = self.guests.get_mut(path) {
                    guest.suspend(now);
                }
                Ok(("suspend", takes::STOP, Effect::Suspended))
            }
            ("resume", "SUSPENDED") => {
                set(instance, [("status", "PROVISIONING".into())]);
                Ok(("resume", takes::INSTANCE, Effect::Resumed))
            }
            _ => Err(Failure::not_ready(path)),
        }
    }

    /// The end of a suspension's beginning.
    pub(super) fn become_suspended(&mut self, path: &str, now: Time) {
        if let Some(instance) = self.resources.get_mut(path) {
            set(
                instance,
                [("status", "SUSPENDED".into()), ("lastSuspendedTimestamp", timestamp(now).into())],
            );
        }
    }

    /// The instance runs again.
    pub(super) fn become_resumed(&mut self, path: &str, now: Time) {
        if let Some(instance) = self.resources.get_mut(path) {
            set(instance, [("status", "RUNNING".into())]);
        }
        if let Some(guest) = self.guests.get_mut(path) {
            guest.resume(now);
        }
    }
}
