//! The sandbox over real sockets.

mod compute;
mod reality;
mod shell;
mod support;
