//! `config/*`: reading and replacing the shared configuration.

use super::{document, empty, error_page, json_text, ok, result, with_header};
use crate::api::{Answer, Context, Request};
use crate::changes::Purpose;
use crate::config::{BACKUP_EXTRA, INTS, Key, STRINGS, Settings, ZOO_CFG_EXTRA, decode_pairs, encode_pairs};
use crate::member::Member;
use crate::{Share, timing};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

impl Share {
    pub(super) fn config(
        &mut self,
        address: &str,
        rest: &[&str],
        request: &Request,
        context: &Context<'_>,
    ) -> Answer {
        match rest {
            ["get-state"] => self.get_state(address, request, context),
            ["rollback-rolling"] => {
                self.cancel_rolling(address, false, context.now);
                document(&ok()).into()
            }
            ["force-commit-rolling"] => {
                self.cancel_rolling(address, true, context.now);
                document(&ok()).into()
            }
            _ => self.set_config(address, rest == ["set-rolling"], request, context),
        }
    }

    fn get_state(&mut self, address: &str, request: &Request, context: &Context<'_>) -> Answer {
        let hung = self.members.get(address).is_some_and(|member| member.hung.is_some());
        if hung && !self.waited(timing::HUNG_WORD_MS, context) {
            return Answer::Later;
        }
        let Some(member) = self.members.get(address) else { return empty(404).into() };
        let body = system_state(member).to_string();
        let digest = hex::encode(&Sha256::digest(body.as_bytes())[..20]);
        let tag = format!("\"{digest}\"");
        let fresh = request.header("if-none-match").is_some_and(|known| known == "*" || known.contains(&tag));
        let response = if fresh { empty(304) } else { json_text(body) };
        with_header(response, "etag", &tag).into()
    }

    fn set_config(
        &mut self,
        address: &str,
        rolling: bool,
        request: &Request,
        context: &Context<'_>,
    ) -> Answer {
        let digest = Sha256::digest(&request.body);
        let key = format!("{address} {} {} {}", context.arrived, request.path, hex::encode(digest));
        if !self.is_pending(&key) && !self.outcomes.contains_key(&key) {
            let numbers = self.members.get(address).is_some_and(|member| member.version() != "1.5.5");
            let settings = match parse(&request.body, numbers) {
                Ok(settings) => settings,
                Err(Rejected::Page(reason, cause)) => {
                    return error_page(500, &reason, &request.path, cause).into();
                }
                // Java's Properties take no null: noticed only when the file is written.
                Err(Rejected::Null) => return document(&result("Unknown", false)).into(),
            };
            let request = key.clone();
            let purpose = if rolling {
                Purpose::SetRolling { request, settings }
            } else {
                Purpose::Set { request, settings }
            };
            self.request_change(address, purpose, timing::LOCK_WAIT_MS, context.now);
            self.poll_changes(context.now);
        }
        match self.outcomes.remove(&key) {
            Some(outcome) => document(&result(&outcome.message, outcome.succeeded)).into(),
            None => Answer::Later,
        }
    }
}

fn pairs_object(pairs: Vec<(String, String)>) -> Value {
    Value::Object(pairs.into_iter().map(|(key, value)| (key, Value::from(value))).collect())
}

fn system_state(member: &Member) -> Value {
    let view = member.view();
    let mut config = Map::new();
    config.insert("rollInProgress".to_owned(), Value::from(member.loaded.is_rolling()));
    config.insert("rollStatus".to_owned(), Value::from(member.loaded.roll_status()));
    config.insert("rollPercentDone".to_owned(), Value::from(member.loaded.roll_percent()));
    config.insert("hostname".to_owned(), Value::from(member.address.as_str()));
    let id = member.servers().of(&member.address).map_or(-1, |server| server.id);
    config.insert("serverId".to_owned(), Value::from(id));
    for key in &STRINGS {
        let value = match *key {
            BACKUP_EXTRA => json!({ "directory": backup_directory(member) }),
            ZOO_CFG_EXTRA => pairs_object(decode_pairs(view.text(key))),
            other => Value::from(view.text(&other)),
        };
        config.insert(key.json.to_owned(), value);
    }
    for key in &INTS {
        config.insert(key.json.to_owned(), Value::from(view.int(key)));
    }
    config.insert("controlPanel".to_owned(), json!({}));
    json!({
        "version": format!("v{}", member.version()),
        "running": member.asked_port_answers(),
        "backupActive": true,
        "standaloneMode": false,
        "extraHeadingText": null,
        "nodeMutationsAllowed": true,
        "config": config,
    })
}

/// Where backups go; empty when nowhere.
pub(super) fn backup_directory(member: &Member) -> String {
    let pairs = decode_pairs(member.view().text(&BACKUP_EXTRA));
    pairs.into_iter().find(|(key, _)| key == "directory").map(|(_, value)| value).unwrap_or_default()
}

enum Rejected {
    /// A server error with Jetty's page: reason and cause.
    Page(String, &'static str),
    /// A text setting that is not text.
    Null,
}

/// The settings of a request body, which replace all there are: what is missing becomes empty or 0.
fn parse(body: &[u8], numbers: bool) -> Result<Settings, Rejected> {
    let document: Value = serde_json::from_slice(body).map_err(|error| not_json(body, &error))?;
    let mut settings = Settings::new();
    for key in &STRINGS {
        let value = match *key {
            BACKUP_EXTRA => document.get(key.json).map_or(Ok(String::new()), encoded)?,
            ZOO_CFG_EXTRA => encoded(document.get(key.json).ok_or_else(missing_zoo_cfg)?)?,
            other => text(&document, &other)?,
        };
        settings.insert(key.property.to_owned(), value);
    }
    for key in &INTS {
        settings.insert(key.property.to_owned(), int(document.get(key.json), numbers).to_string());
    }
    Ok(settings)
}

fn text(document: &Value, key: &Key) -> Result<String, Rejected> {
    match document.get(key.json) {
        None => Ok(String::new()),
        Some(value) => value.as_str().map(str::to_owned).ok_or(Rejected::Null),
    }
}

/// 1.5.5 reads numbers from JSON strings only.
fn int(value: Option<&Value>, numbers: bool) -> i64 {
    let parsed = match value {
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(Value::Number(number)) if numbers => {
            number.as_i64().and_then(|number| i32::try_from(number).ok())
        }
        Some(Value::Number(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) | None => {
            None
        }
    };
    parsed.map_or(0, i64::from)
}

fn encoded(value: &Value) -> Result<String, Rejected> {
    let Some(object) = value.as_object() else { return Ok(String::new()) };
    let pairs: Option<Vec<(String, String)>> =
        object.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let null = || {
        let reason = "Cannot invoke \"String.length()\" because \"s\" is null".to_owned();
        Rejected::Page(reason, "java.lang.NullPointerException")
    };
    pairs.map(|pairs| encode_pairs(&pairs)).ok_or_else(null)
}

fn missing_zoo_cfg() -> Rejected {
    let reason =
        "Cannot invoke \"org.codehaus.jackson.JsonNode.getFieldNames()\" because \"zooCfgExtra\" is null"
            .to_owned();
    Rejected::Page(
        reason,
        "java.lang.NullPointerException\n\tat com.netflix.exhibitor.core.rest.ConfigResource.parseToConfig(ConfigResource.java:261)",
    )
}

fn not_json(body: &[u8], error: &serde_json::Error) -> Rejected {
    let text = String::from_utf8_lossy(body);
    let letter = text.trim_start().chars().next().unwrap_or(' ');
    let reason = format!(
        "Unexpected character ('{letter}' (code {})): expected a valid value (number, String, array, object, 'true', \
         'false' or 'null')\n at [Source: java.io.StringReader@52b6438d; line: {}, column: {}]",
        u32::from(letter),
        error.line(),
        error.column() + 1,
    );
    Rejected::Page(reason, "org.codehaus.jackson.JsonParseException")
}
