//! Pure planning for ZooKeeper ensembles on Google Cloud: the file's types and validation, the resource model,
//! field rules, the diff, the planner, the checker, the saved plan, readiness and quorum verdicts, and reports.
//!
//! Nothing here reads a clock, the environment, a file, the network or a source of randomness: inputs in, data out.

pub mod backup;
pub mod check;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod event;
pub mod exhibitor;
pub mod field_path;
pub mod havoc;
pub mod labels;
pub mod managed_fields;
pub mod measure;
pub mod members;
pub mod observed;
pub mod plan;
pub mod planner;
pub mod pods;
pub mod quorum;
pub mod readiness;
pub mod recovery;
pub mod report;
pub mod resource;
pub mod roll;
pub mod rules;
pub mod saved;
pub mod schedule;
pub mod settings;
pub mod spec;
pub mod views;
pub mod zookeeper;
