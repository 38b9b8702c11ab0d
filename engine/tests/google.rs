//! The providers of Google's APIs against a scripted server on loopback.

#![expect(clippy::unwrap_used, reason = "tests: a broken fixture is to panic")]

mod google {
    mod calls;
    mod failures;
    mod observe;
    mod readiness;
    mod storage;
    mod support;
}
