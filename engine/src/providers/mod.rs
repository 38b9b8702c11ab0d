//! One provider an API. Only here, in the probes and in [`crate::credentials`] do the clients' own types appear.
//!
//! What the Google providers share: a document is the REST JSON of the API, with names for enums; a body that names a
//! field the API does not know is refused before anything is sent; a read that fails says what could not be read and
//! why, and never means "absent".

mod caller;
mod classify;
pub mod compute;
pub mod ensemble;
pub mod filestore;
pub mod gke;
pub mod kubernetes;
mod labels;
mod names;
mod scan;
pub mod storage;
mod strict;
pub mod zookeeper;
