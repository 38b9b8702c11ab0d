//! The `Ensemble` document: what the file may say ([`file`]), how it is read and checked ([`load`], [`validate`]),
//! and what is left when it is right: [`ValidSpec`], every default filled in.

pub mod valid;

pub use valid::*;
