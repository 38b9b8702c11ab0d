//! The sandbox over real sockets.

mod compute;
mod endpoints;
mod reality;
mod shell;
mod support;
