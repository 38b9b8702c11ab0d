//! Two-stage interruption: the first signal asks the run to stop, the second ends the process.

use crate::error::{CommandError, Exit};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use tokio::sync::watch;

/// Tells the executor to stop, and remembers why.
pub(crate) struct Signals {
    pub(crate) stop: watch::Receiver<bool>,
    cause: Arc<AtomicU8>,
}

impl Signals {
    /// Listens from now on.
    pub(crate) fn listen() -> Result<Self, CommandError> {
        let (tell, stop) = watch::channel(false);
        let cause = Arc::new(AtomicU8::new(0));
        let mut next = Stream::new()?;
        let seen = Arc::clone(&cause);
        tokio::spawn(async move {
            let first = next.recv().await;
            seen.store(first.status(), Ordering::SeqCst);
            // The run may be over already.
            let _ = tell.send(true);
            let second = next.recv().await;
            std::process::exit(i32::from(second.status()));
        });
        Ok(Self { stop, cause })
    }

    /// The exit code of an interrupted run: of the signal that came.
    pub(crate) fn exit(&self) -> Exit {
        if self.cause.load(Ordering::SeqCst) == Exit::Terminated.status() {
            Exit::Terminated
        } else {
            Exit::Interrupted
        }
    }
}

#[cfg(unix)]
struct Stream {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Stream {
    fn new() -> Result<Self, CommandError> {
        use tokio::signal::unix::{SignalKind, signal};
        let failed = |error: std::io::Error| CommandError::failed("listening for signals", &error);
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    async fn recv(&mut self) -> Exit {
        tokio::select! {
            _ = self.interrupt.recv() => Exit::Interrupted,
            _ = self.terminate.recv() => Exit::Terminated,
        }
    }
}

#[cfg(not(unix))]
struct Stream;

#[cfg(not(unix))]
impl Stream {
    fn new() -> Result<Self, CommandError> {
        Ok(Self)
    }

    async fn recv(&mut self) -> Exit {
        // Without a signal handler nobody interrupts.
        match tokio::signal::ctrl_c().await {
            Ok(()) => Exit::Interrupted,
            Err(_) => std::future::pending().await,
        }
    }
}
