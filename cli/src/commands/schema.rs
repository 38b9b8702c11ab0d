//! `zkprov schema`: the JSON Schema of the file, for editors.

use crate::context::Context;
use crate::error::{CommandError, Exit};

pub(super) fn run(context: &Context) -> Result<Exit, CommandError> {
    context.ui.result_line(&format!("{:#}", zkprov_plans::spec::schema()))?;
    Ok(Exit::Done)
}
