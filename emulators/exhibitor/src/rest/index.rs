//! `index/*`: backups and indexed transaction logs, as far as they can be listed.

use super::config::backup_directory;
use super::{document, empty, ok};
use crate::api::{Context, Response, Time};
use crate::config::BACKUP_PERIOD_MS;
use crate::member::Member;
use crate::{Share, timing};
use serde_json::{Value, json};

impl Share {
    pub(super) fn index(&mut self, address: &str, rest: &[&str], context: &Context<'_>) -> Response {
        let Some(member) = self.members.get_mut(address) else { return empty(404) };
        match rest {
            ["new-index"] => {
                member.indexes.push(context.now);
                document(&ok())
            }
            ["get-backups"] => document(&backups(member, context.now)),
            ["indexed-logs"] => document(&member.indexes.iter().map(|made| indexed(member, *made)).collect()),
            [name] => {
                member.indexes.retain(|made| index_name(*made) != *name);
                document(&ok())
            }
            _ => empty(404),
        }
    }
}

fn index_name(made: Time) -> String {
    format!("exhibitor-{made}")
}

fn indexed(member: &Member, made: Time) -> Value {
    let minute = |time| timing::format_time(time, "%m/%d/%Y-%H:%M");
    let first = member.data.logged().map_or(made, |(first, _)| first.time);
    json!({
        "entryCount": member.data.log.len(),
        "from": minute(first),
        "name": index_name(made),
        "to": minute(made),
    })
}

/// The first transaction log is copied once every period, if there is somewhere to copy it to.
fn backups(member: &Member, now: Time) -> Value {
    let period = member.view().period(&BACKUP_PERIOD_MS);
    let periods = now.saturating_sub(member.loaded_at) / period;
    match member.data.logged() {
        Some((first, _))
            if periods > 0 && member.switches.backups && !backup_directory(member).is_empty() =>
        {
            let name = format!("log.{:x}", first.zxid);
            json!([{ "modifiedDate": member.loaded_at + periods * period, "name": name }])
        }
        Some(_) | None => json!([]),
    }
}
