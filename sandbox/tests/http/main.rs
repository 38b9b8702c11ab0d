//! The sandbox over real sockets.

mod compute;
mod endpoints;
mod shell;
mod support;
