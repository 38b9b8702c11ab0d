//! The same program and the same file on real things: Kubernetes with a real node, Exhibitor and ZooKeeper in containers. Only
//! Google's own APIs are acted out, and the node's NFS client is: its mounts bind a directory.
//!
//! Tests with `node` in their names need root. `tests/real/README.md` says what is real in which tier.

#![expect(clippy::disallowed_methods, reason = "a test reads files, starts programs and keeps time")]
#![expect(clippy::unwrap_used, reason = "a helper of a test fails the test")]
#![expect(clippy::print_stdout, reason = "what is measured is told")]

mod api;
mod backup;
mod differential;
mod exhibitors;
mod external;
mod havoc;
mod node;
mod persistent;
mod recover;
mod rig;
mod rigs;
mod rolls;
mod types;
