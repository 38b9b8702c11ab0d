//! `zkprov validate`: every problem of the file at once, offline.

use crate::args::{Format, Validate};
use crate::context::Context;
use crate::error::{CommandError, Exit};
use crate::{input, pipeline};
use serde_json::json;
use zkprov_plans::diagnostic::Severity;

pub(super) fn run(context: &Context, args: &Validate) -> Result<Exit, CommandError> {
    let loaded = input::load(context)?;
    let valid = loaded.diagnostics.iter().all(|finding| finding.severity != Severity::Error);
    match args.format {
        Format::Json => {
            let value = json!({ "valid": valid, "diagnostics": loaded.diagnostics });
            context.ui.result_line(&format!("{value:#}"))?;
        }
        Format::Text => input::report(context, &loaded.diagnostics),
    }
    if !valid {
        return Ok(Exit::Failed);
    }
    // Rendering is a function of the file alone, so it belongs to the check.
    pipeline::render(context, &loaded.specs)?;
    if args.format == Format::Text {
        let names: Vec<&str> = loaded.specs.iter().map(|spec| spec.name.as_str()).collect();
        context.ui.result_line(&format!("valid: {}", names.join(", ")))?;
    }
    Ok(Exit::Done)
}
