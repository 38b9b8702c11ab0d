//! Questions at a terminal.

use super::Ui;
use crate::error::CommandError;
use std::io::{self, BufRead, Write};

impl Ui {
    /// Asks on stderr and reads one line; an end of input is an empty answer.
    pub(crate) fn ask(&self, question: &str) -> Result<String, CommandError> {
        let failed = |error: io::Error| CommandError::failed("asking", &error);
        let mut err = io::stderr().lock();
        write!(err, "{question} ").and_then(|()| err.flush()).map_err(failed)?;
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line).map_err(failed)?;
        Ok(line.trim().to_owned())
    }
}
