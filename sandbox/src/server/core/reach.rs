//! What leads to a cluster's Kubernetes API, and when nothing does; and the world changed from outside.

use super::super::tunnel::Reach;
use super::{Core, StoreError, WAIT_STEP};
use crate::server::Clock;
use crate::world::World;

impl Core {
    /// Lets `act` look at the world as far as it is in memory: what is not in cells always is.
    pub(crate) fn look<T>(&self, act: impl FnOnce(&World) -> T) -> Result<T, StoreError> {
        self.turn(|inner, _| act(&inner.world))
    }

    /// Lets `act` change the world itself, as no client can.
    pub(crate) fn alter<T>(&self, act: impl FnOnce(&mut World) -> T) -> Result<T, StoreError> {
        self.turn(|inner, changed| {
            let result = act(&mut inner.world);
            let now = inner.world.now;
            inner.world.advance_to(now);
            *changed = true;
            result
        })
    }

    /// A request found the Kubernetes API of its cluster away: whoever asks it waits for it to come back.
    pub(crate) fn wait_for_api(&self) -> Result<(), StoreError> {
        self.turn(|inner, changed| {
            *changed |= matches!(self.clock, Clock::Instant) && inner.step(WAIT_STEP, None);
        })
    }

    /// What a host and port lead to that a client wants a connection to.
    pub(crate) fn reach(&self, host: &str, port: Option<u16>) -> Result<Reach, StoreError> {
        self.turn(|inner, _| {
            if inner.listeners.is_outside() {
                return Reach::Unknown;
            }
            let address = format!("{host}:{}", port.unwrap_or(443));
            let by_address = inner.listeners.endpoints.clusters.iter().find(|(_, own)| **own == address);
            if let Some((key, _)) = by_address {
                return Reach::Cluster(key.clone());
            }
            match inner
                .world
                .google
                .container
                .dns_endpoint(host)
                .filter(|_| port.is_none_or(|port| port == 443))
            {
                Some((key, true)) => Reach::Cluster(key),
                Some((_, false)) => Reach::Closed,
                None => Reach::Unknown,
            }
        })
    }
}
