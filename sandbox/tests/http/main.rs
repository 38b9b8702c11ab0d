//! The sandbox over real sockets.

mod compute;
mod shell;
mod support;
