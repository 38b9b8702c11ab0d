//! What the projects are like, as the serving process keeps it.

use super::{Core, Inner};
use crate::api::Request;
use crate::kubernetes::Answer;
use crate::reality::Reality;
use crate::server::StoreError;

impl Core {
    /// What the projects are like.
    pub(crate) fn reality(&self) -> Result<Reality, StoreError> {
        self.look(|world| world.reality.clone())
    }

    /// Lets `act` change what the projects are like; it says whether it did. Returns what they are like then.
    pub(crate) fn set_reality(&self, act: impl FnOnce(&mut Reality) -> bool) -> Result<Reality, StoreError> {
        self.turn(|inner, changed| {
            *changed |= act(&mut inner.world.reality);
            inner.world.reality.clone()
        })
    }
}

impl Inner {
    /// Counts a request that was not handed in before; the refusal where there are too many of its kind.
    pub(super) fn throttle(&mut self, request: &Request) -> Option<Answer> {
        self.world.throttle(request)
    }
}
