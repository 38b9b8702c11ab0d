//! The sandbox over real sockets.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]

mod compute;
mod endpoints;
mod reality;
mod shell;
mod support;
