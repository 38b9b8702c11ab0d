//! `ui/*`: a small page in place of Exhibitor's, and what its page asks for.

use super::cluster::activity_log;
use super::config::backup_directory;
use super::{SERVER, document, empty, with_header};
use crate::Share;
use crate::api::{Context, Response};
use crate::member::Process;
use serde_json::json;

/// All links are relative, so that the page works behind a proxy that strips a prefix.
const PAGE: &str = "<html>
<head><title id=\"app-name\">Exhibitor</title></head>
<body>
<h1>Exhibitor (simulated)</h1>
<ul>
<li><a href=\"../cluster/status\">Ensemble</a></li>
<li><a href=\"../config/get-state\">Configuration</a></li>
<li><a href=\"../explorer/node?key=/\">Znodes</a></li>
<li><a href=\"tab/0\">Log</a></li>
</ul>
</body>
</html>
";

impl Share {
    pub(super) fn ui(&mut self, address: &str, rest: &[&str], context: &Context<'_>) -> Response {
        let Some(member) = self.members.get_mut(address) else { return empty(404) };
        match rest {
            ["index.html"] => with_header(Response::text(200, "text/html", PAGE), "server", SERVER),
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
