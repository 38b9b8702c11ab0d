//! `ui/*`: a page of our own in place of Exhibitor's, and what Exhibitor's page asks for.

use super::cluster::activity_log;
use super::config::backup_directory;
use super::{SERVER, document, empty, with_header};
use crate::Share;
use crate::api::{Context, Response};
use crate::member::Process;
use serde_json::json;

/// The page asks Exhibitor's own REST API only, by relative addresses: it works behind a proxy that adds a prefix.
const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

fn page() -> String {
    PAGE.replace("/* page.css */", STYLE).replace("/* page.js */", SCRIPT)
}

impl Share {
    pub(super) fn ui(&mut self, address: &str, rest: &[&str], context: &Context<'_>) -> Response {
        let Some(member) = self.members.get_mut(address) else { return empty(404) };
        match rest {
            ["index.html"] => with_header(Response::text(200, "text/html", page()), "server", SERVER),
            ["tabs"] => document(&json!([{ "html": false, "name": "Log", "url": "tab/0" }])),
            ["tab", "0"] => {
                with_header(Response::text(200, "text/plain", activity_log(member)), "server", SERVER)
            }
            ["backup-config"] => document(&json!([{
                "key": "directory",
                "name": "Destination Path",
                "help": "The path of the directory where backups are written to",
                "value": backup_directory(member),
                "type": "s",
            }])),
            ["shutdown"] => {
                // Exhibitor is the container's main process: ZooKeeper goes with it.
                member.info(context.now, "Shutting down");
                member.exited = true;
                member.process = Process::Stopped { start_at: None };
                empty(200)
            }
            _ => empty(404),
        }
    }
}
