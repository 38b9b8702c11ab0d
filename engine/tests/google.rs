//! The providers of Google's APIs against a scripted server on loopback.

mod google {
    mod calls;
    mod failures;
    mod observe;
    mod readiness;
    mod support;
}
