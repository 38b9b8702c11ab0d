//! Programs that are run for as long as they do something.

use crate::progress::{Patience, processor_time};
use serde_json::Value;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

/// Pause between two looks at a program that is to end.
const LOOK: Duration = Duration::from_millis(10);
/// Time between two looks at what it does, which cost more.
const SIGN: Duration = Duration::from_secs(2);

/// A program that is to be run.
#[derive(Debug)]
pub struct Program {
    command: Command,
}

/// How a program ended and what it said.
#[derive(Debug)]
pub struct Output {
    line: String,
    /// Exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Program {
    pub(crate) fn new(path: &Path) -> Self {
        let mut command = Command::new(path);
        command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command }
    }

    pub(crate) fn within(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Runs the program to its end.
    ///
    /// # Panics
    /// When it can't be started, or hangs.
    #[must_use]
    pub fn run(self) -> Output {
        self.start().wait()
    }

    /// Starts the program.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start(self) -> Background {
        self.spawn(true)
    }

    /// Starts the program with nobody at the other end of its standard output, as when `head` has had enough.
    ///
    /// # Panics
    /// When it can't be started.
    #[must_use]
    pub fn start_unread(self) -> Background {
        self.spawn(false)
    }

    fn spawn(mut self, read: bool) -> Background {
        let line = format!("{:?}", self.command);
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        let stdout = child.stdout.take().filter(|_| read).map(BufReader::new);
        let (tell, lines) = channel();
        spawn(move || {
            let send = |line: &[u8]| tell.send(String::from_utf8_lossy(line).into_owned() + "\n").is_ok();
            // Ends when the program closes its output, or nobody listens any more.
            stdout.into_iter().flat_map(|stdout| stdout.split(b'\n')).flatten().all(|line| send(&line));
        });
        let mut stderr = child.stderr.take().unwrap();
        let complained = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&complained);
        let err = spawn(move || {
            let (mut text, mut piece) = (Vec::new(), [0; 4096]);
            // What a killed program had to say no longer matters.
            while let Ok(length @ 1..) = stderr.read(&mut piece) {
                text.extend_from_slice(&piece[..length]);
                counter.fetch_add(length, Ordering::Relaxed);
            }
            String::from_utf8_lossy(&text).into_owned()
        });
        let life = Life { patience: Patience::default(), looked: Instant::now() };
        Background { line, child, lines, read: String::new(), err: Some(err), complained, life }
    }
}

/// A program that runs; it is killed when dropped.
#[derive(Debug)]
pub struct Background {
    line: String,
    child: Child,
    lines: Receiver<String>,
    read: String,
    err: Option<JoinHandle<String>>,
    /// Bytes of standard error so far.
    complained: Arc<AtomicUsize>,
    life: Life,
}

/// When a program did something last, and when that was looked at.
#[derive(Debug)]
struct Life {
    patience: Patience,
    looked: Instant,
}

impl Background {
    /// Reads standard output up to the first line that contains `text`, and returns that line.
    ///
    /// # Panics
    /// When the output ends without one, or the program no longer does anything.
    pub fn until(&mut self, text: &str) -> String {
        // It may have stood still until now, for good reason.
        self.life.patience = Patience::default();
        while self.lives() {
            match self.lines.recv_timeout(SIGN) {
                Ok(line) => {
                    self.read.push_str(&line);
                    if line.contains(text) {
                        return line;
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.stop();
        let err = self.err.take().and_then(|err| err.join().ok()).unwrap_or_default();
        panic!("{}: no line with `{text}`\n{}{err}", self.line, self.read);
    }

    /// Sends a signal by `kill`'s name for it.
    ///
    /// # Panics
    /// When there is no `kill`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(status.unwrap().success(), "kill -{name}");
    }

    /// Whether it has ended.
    ///
    /// # Panics
    /// When that can't be told.
    pub fn has_ended(&mut self) -> bool {
        self.ended().is_some()
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().unwrap()
    }

    /// Signs of its life: how much it has said, and how much of a processor's time it has used.
    #[must_use]
    pub fn signs(&self) -> (usize, Option<u64>) {
        let said = self.read.len() + self.complained.load(Ordering::Relaxed);
        (said, processor_time(self.child.id()))
    }

    /// Whether it has given a sign of life lately; a program that gives none for minutes hangs.
    fn lives(&mut self) -> bool {
        if self.life.looked.elapsed() > SIGN {
            let signs = self.signs();
            self.life.patience.sees(signs);
            self.life.looked = Instant::now();
        }
        !self.life.patience.is_over()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it hangs.
    #[must_use]
    pub fn wait(mut self) -> Output {
        // It may have stood still until now, for good reason.
        self.life.patience = Patience::default();
        let status = loop {
            if let Some(status) = self.ended() {
                break status;
            }
            self.read.extend(self.lines.try_iter());
            if !self.lives() {
                self.stop();
                let err = self.err.take().and_then(|err| err.join().ok()).unwrap_or_default();
                panic!("{} hangs\n{}{err}", self.line, self.read);
            }
            sleep(LOOK);
        };
        self.read.extend(self.lines.iter());
        let out = std::mem::take(&mut self.read);
        let err = self.err.take().map(|err| err.join().unwrap()).unwrap_or_default();
        Output { line: self.line.clone(), status: status.code(), out, err }
    }

    fn stop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Output {
    /// Checks the exit status.
    ///
    /// # Panics
    /// When it is another one.
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self}");
        self
    }

    /// Checks that a signal ended it.
    ///
    /// # Panics
    /// When it ended by itself.
    pub fn exits_by_signal(self) -> Self {
        assert_eq!(self.status, None, "{self}");
        self
    }

    /// Checks that standard output contains all of these.
    ///
    /// # Panics
    /// When one is missing.
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.out.contains(text), "stdout lacks `{text}`\n{self}");
        }
        self
    }

    /// Checks that standard error contains all of these.
    ///
    /// # Panics
    /// When one is missing.
    pub fn complains(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.err.contains(text), "stderr lacks `{text}`\n{self}");
        }
        self
    }

    /// Standard output as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{self}"))
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, status, out, err } = self;
        write!(f, "{line}\nexit status {status:?}\n--- stdout\n{out}\n--- stderr\n{err}")
    }
}
