//! The shell around the world: loopback HTTP and TLS, the state file, the wall clock, injected faults.
