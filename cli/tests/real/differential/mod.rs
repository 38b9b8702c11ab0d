//! One session, sent to a real API server and to the embedded one: every kind of call that zkprov makes, and kubectl's. What
//! the two answer differently is either in `accepted.txt`, with its reason, or a failure.
//!
//! `session.yaml` is the session.

mod compare;
mod servers;
mod session;

use self::compare::{Accepted, Difference, differences};
use self::servers::Server;
use self::session::Session;
use super::rig::Rig;
use std::collections::BTreeSet;
use zkprov_tests::Bench;

#[test]
fn the_embedded_api_server_answers_as_a_real_one() {
    let rig = Rig::api();
    let bench = Bench::new(env!("CARGO_BIN_EXE_zkprov"));
    let session = Session::read(&bench);
    let mut real = Server::real(&rig, &bench);
    let mut embedded = Server::embedded(&rig, &bench);
    let mut found = Vec::new();
    let mut names = BTreeSet::new();
    for exchange in &session.exchanges {
        assert!(names.insert(&exchange.name), "two exchanges are called `{}`", exchange.name);
        let (one, other) = (real.answer(&bench, exchange), embedded.answer(&bench, exchange));
        found.extend(differences(exchange, &one, &other));
    }
    let accepted = Accepted::read();
    let (known, unknown): (Vec<Difference>, Vec<Difference>) =
        found.into_iter().partition(|difference| accepted.covers(difference));
    let told: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    let stale = accepted.unused();
    println!(
        "{} exchanges, {} accepted differences by {} lines",
        session.exchanges.len(),
        known.len(),
        accepted.count()
    );
    assert!(told.is_empty(), "{} differences that nobody accepted:\n{}", told.len(), told.join("\n"));
    assert!(stale.is_empty(), "accepted.txt accepts what is no difference any more:\n{}", stale.join("\n"));
}

/// The comparison itself: what it must see, and what it must not.
#[test]
fn a_difference_is_found_wherever_it_stands() {
    compare::check_itself();
}
