//! The programs that run in pods: an API server and its kubelets reach them by this trait alone.

use crate::api::{Answer, Context, Request, Time};
use crate::ids::Ids;
use std::collections::BTreeMap;

/// The port that [`Containers::handle`] is behind, whatever the container's ports are called.
pub const PORT: u16 = 8181;

/// What a pod tells the program in its container at the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStart {
    /// What the share that is mounted goes by, see [`share_name`](crate::views::share_name).
    pub share: String,
    /// Pod address.
    pub address: String,
    /// What other pods reach it by.
    pub hostname: String,
    /// The volume that its data is on; `None` for the container's own disk.
    pub volume: Option<String>,
    /// `ZK_ENSEMBLE_SIZE` of the container, 0 when not set.
    pub ensemble_size: u32,
    /// Other environment variables of the container that matter to the image.
    pub env: BTreeMap<String, String>,
}

/// How a program ended that was run in a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exit {
    /// 0 is success.
    pub code: u8,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: String,
}

impl Exit {
    /// A program that failed.
    pub fn failed(code: u8, stderr: impl Into<String>) -> Self {
        Self { code, stdout: Vec::new(), stderr: stderr.into() }
    }

    /// A program that did what it was asked for.
    #[must_use]
    pub const fn printed(stdout: Vec<u8>) -> Self {
        Self { code: 0, stdout, stderr: String::new() }
    }
}

/// Containers of one cluster's pods that run something.
pub trait Containers {
    /// A container starts. One that was at this address or had this name before is gone.
    fn start(&mut self, container: ContainerStart, now: Time, ids: &mut Ids);

    /// The container of this address is gone, its data with it unless that is on a volume.
    fn stop(&mut self, address: &str, now: Time);

    /// Whether the readiness probe of a member succeeds in this pod, see the members' Deployment: the server answers as
    /// leader, follower or observer (stand-alone only if `accept_standalone`) at this port, or else at its own.
    fn ready(&self, address: &str, port: Option<i64>, accept_standalone: bool) -> bool;

    /// Whether the program's HTTP port answers.
    fn answers(&self, address: &str, now: Time) -> bool;

    /// Whether the program has ended by itself, and the container with it.
    fn exited(&self, address: &str) -> bool;

    /// An HTTP request to the pod; `None` when nothing listens there.
    fn handle(&mut self, address: &str, request: &Request, context: &mut Context<'_>) -> Option<Answer>;

    /// Runs a program in the container.
    fn run(&self, address: &str, command: &[String]) -> Exit;

    /// Which ports of the container at this address are open to others, by their addresses; anyone who is not named reaches
    /// all of them.
    fn wall(&mut self, address: &str, walls: BTreeMap<String, Vec<(u16, u16)>>);

    /// Volumes whose names begin like this are gone, with the data on them.
    fn discard(&mut self, prefix: &str);

    /// Whether a program of the container at this address listens on a port; `None` where there is no container that this
    /// knows.
    fn listens(&self, address: &str, port: u16, now: Time) -> Option<bool>;

    /// What the server behind this port answers to a four-letter word; `None` when it does not.
    fn ask(&self, address: &str, port: i64, word: &str, now: Time) -> Option<String>;
}
