//! What an API server says to a request.

use crate::api::{ClusterKey, Response};
use crate::watch::WatchCursor;
use serde_json::Value;

/// An answer: at once, later, or as a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The response.
    Done(Response),
    /// Not yet, see [`crate::api::Answer::Later`].
    Later,
    /// A watch: the server keeps calling [`crate::Cluster::watch`] with the cursor.
    Watch(WatchCursor),
    /// A stream into a pod.
    Stream(PodStream),
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self::Done(response)
    }
}

impl From<crate::api::Answer> for Answer {
    fn from(answer: crate::api::Answer) -> Self {
        match answer {
            crate::api::Answer::Done(response) => Self::Done(response),
            crate::api::Answer::Later => Self::Later,
        }
    }
}

/// What a stream into a pod carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PodStream {
    /// A program that has run in the container: what it wrote, and the `Status` that says how it ended.
    Exec {
        /// Its output; `None` when it was not asked for.
        stdout: Option<Vec<u8>>,
        /// Its errors; `None` when they were not asked for.
        stderr: Option<Vec<u8>>,
        /// A Kubernetes `Status`.
        status: Value,
    },
    /// Connections to ports in the pod.
    Forward {
        /// Names the pod in messages: `NAME, uid UID`.
        pod: String,
        /// The cluster that it is in.
        cluster: ClusterKey,
        /// The pod's address.
        address: String,
        /// The ports, in the order of their channels.
        ports: Vec<u16>,
    },
}
