//! `zkprov status`: members, roles, and the three views.

mod metrics;

use crate::args::{Status, StatusFormat};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::session::Session;
use crate::{input, pipeline, ui};
use serde_json::{Value, json};
use std::time::Duration;
use zkprov_plans::document::Desired;
use zkprov_plans::observed::{EnsembleState, Reading};
use zkprov_plans::quorum;
use zkprov_plans::readiness::Verdict;
use zkprov_plans::spec::ValidSpec;
use zkprov_plans::views;

pub(super) async fn run(context: &Context, args: &Status) -> Result<Exit, CommandError> {
    let specs = input::specs(context)?;
    let desired = pipeline::render(context, &specs)?;
    let session = Session::open(context).await?;
    let result = show(context, args, &session, &specs, &desired).await;
    session.close().await;
    result
}

async fn show(
    context: &Context,
    args: &Status,
    session: &Session,
    specs: &[ValidSpec],
    desired: &[Desired],
) -> Result<Exit, CommandError> {
    let mut last = String::new();
    // What ends a watch; until something was shown, a signal ends the process. One for all looks: none is missed between them.
    let stop = tokio::signal::ctrl_c();
    tokio::pin!(stop);
    let mut shown = None;
    loop {
        let look = async {
            let mut views = Vec::new();
            for (spec, desired) in specs.iter().zip(desired) {
                views.push(View { spec, reading: session.cloud.ensemble(spec, desired).await });
            }
            views
        };
        let views = match shown {
            None => look.await,
            Some(exit) => tokio::select! {
                views = look => views,
                _ = &mut stop => return Ok(exit),
            },
        };
        let text = match args.format {
            StatusFormat::Text => views.iter().map(View::text).collect::<Vec<_>>().join("\n"),
            StatusFormat::Json => json_text(&views),
            StatusFormat::Prometheus => metrics::text(&views),
        };
        if text != last {
            let read = match args.format {
                StatusFormat::Text => context.ui.redraw(&last, &text)?,
                StatusFormat::Json | StatusFormat::Prometheus => context.ui.write(&text)?,
            };
            if !read {
                return Ok(exit(args, &views));
            }
            last = text;
        }
        let now = exit(args, &views);
        if !args.watch {
            return Ok(now);
        }
        shown = Some(now);
        tokio::select! {
            _ = &mut stop => return Ok(now),
            () = tokio::time::sleep(session.cloud.pace().poll.max(Duration::from_millis(500))) => {}
        }
    }
}

fn json_text(views: &[View<'_>]) -> String {
    let mut list: Vec<Value> = views.iter().map(View::json).collect();
    // One ensemble is one object, as `jq .members` expects.
    let value = if list.len() == 1 { list.remove(0) } else { Value::Array(list) };
    format!("{value:#}\n")
}

fn exit(args: &Status, views: &[View<'_>]) -> Exit {
    if views.iter().any(|view| matches!(view.reading, Reading::Unavailable(_))) {
        Exit::Failed
    } else if args.check && views.iter().any(|view| view.verdict() != Verdict::Ready) {
        Exit::Refused
    } else {
        Exit::Done
    }
}

/// One ensemble as it was seen.
pub(super) struct View<'a> {
    spec: &'a ValidSpec,
    reading: Reading<EnsembleState>,
}

impl View<'_> {
    fn state(&self) -> Option<&EnsembleState> {
        self.reading.known()
    }

    fn verdict(&self) -> Verdict {
        match &self.reading {
            Reading::Known(state) => match quorum::majority_lost(state) {
                Some(reason) => Verdict::Failed { reason, hint: "`zkprov recover`".to_owned() },
                None => quorum::converged(state, self.spec.exhibitor.replicas),
            },
            Reading::Absent => {
                Verdict::Failed { reason: "it does not exist".to_owned(), hint: "`zkprov apply`".to_owned() }
            }
            Reading::Unavailable(gap) => Verdict::Failed { reason: gap.why.clone(), hint: gap.hint.clone() },
        }
    }

    fn text(&self) -> String {
        let name = &self.spec.name;
        match &self.reading {
            Reading::Known(state) => {
                let verdict = match self.verdict() {
                    Verdict::Ready => "serving".to_owned(),
                    Verdict::Progressing(what) => format!("not settled: {what}"),
                    Verdict::Failed { reason, hint } => format!("failed: {reason} ({hint})"),
                };
                format!("Ensemble {name}: {verdict}\n{}", ui::ensemble_table(state))
            }
            Reading::Absent => format!("Ensemble {name}: does not exist; `zkprov apply` creates it\n"),
            Reading::Unavailable(gap) => {
                format!(
                    "Ensemble {name}: could not be read: {}: {}\n  next: {}\n",
                    gap.what, gap.why, gap.hint
                )
            }
        }
    }

    fn json(&self) -> Value {
        let verdict = match self.verdict() {
            Verdict::Ready => json!({ "status": "serving" }),
            Verdict::Progressing(what) => json!({ "status": "progressing", "reason": what }),
            Verdict::Failed { reason, hint } => json!({ "status": "failed", "reason": reason, "hint": hint }),
        };
        let state = self.reading.known();
        let members: Vec<Value> = state.map(members).unwrap_or_default();
        json!({
            "name": self.spec.name,
            "declared": self.spec.exhibitor.replicas,
            "verdict": verdict,
            "voters": state.map(quorum::voters),
            "healthy": state.map(quorum::healthy),
            "need": state.map(|state| quorum::need(quorum::voters(state))),
            "rolling": state.map(|state| state.rolling),
            "stuckRoll": state.and_then(|state| state.stuck.as_ref()),
            "members": members,
            "pods": state.map(|state| &state.pods),
            "gaps": state.map(|state| &state.gaps),
            "disagreements": state.map(views::disagreements),
        })
    }
}

fn members(state: &EnsembleState) -> Vec<Value> {
    state
        .members
        .iter()
        .map(|member| {
            let srvr = member.zookeeper.as_ref();
            json!({
                "host": member.hostname,
                "id": member.id,
                "pod": member.pod,
                "role": srvr.map(|srvr| srvr.mode),
                "serving": srvr.is_some() && member.id.is_some(),
                "zxid": srvr.map(|srvr| &srvr.zxid),
                "znodes": srvr.map(|srvr| srvr.nodes),
                "connections": srvr.map(|srvr| srvr.connections),
                "version": srvr.map(|srvr| &srvr.version),
                "exhibitor": { "code": member.exhibitor, "leader": member.exhibitor_leader },
            })
        })
        .collect()
}
