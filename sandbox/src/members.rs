//! Exhibitors as the containers of a cluster's pods.

use crate::world::share_name;
use std::collections::BTreeMap;
use zkprov_emulator_common::api::{Answer, Context, Request, Time};
use zkprov_emulator_common::ids::Ids;
use zkprov_emulator_exhibitor::{MemberStart, Shares};
use zkprov_emulator_kubernetes::{ContainerStart, Containers, Exit};

/// The members that the pods of a cluster run.
#[derive(Debug)]
pub(crate) struct Members<'a> {
    /// The shares of the cluster's cell.
    pub(crate) shares: &'a mut Shares,
    /// The cluster's network.
    pub(crate) network: &'a str,
}

impl Containers for Members<'_> {
    fn start(&mut self, container: ContainerStart, now: Time, ids: &mut Ids) {
        let ContainerStart { share: mount, address, hostname, volume, ensemble_size, env } = container;
        let share = share_name(self.network, &mount);
        self.shares.start(MemberStart { share, address, hostname, volume, ensemble_size, env }, now, ids);
    }

    fn stop(&mut self, address: &str, now: Time) {
        self.shares.stop(address, now);
    }

    fn ready(&self, address: &str, port: Option<i64>, accept_standalone: bool) -> bool {
        self.shares.ready(address, port, accept_standalone)
    }

    fn answers(&self, address: &str, now: Time) -> bool {
        self.shares.answers(address, now)
    }

    fn exited(&self, address: &str) -> bool {
        self.shares.exited(address)
    }

    fn handle(&mut self, address: &str, request: &Request, context: &mut Context<'_>) -> Option<Answer> {
        self.shares.handle(address, request, context)
    }

    fn run(&self, address: &str, command: &[String]) -> Exit {
        let ended = self.shares.run(address, command);
        Exit { code: ended.code, stdout: ended.stdout, stderr: ended.stderr }
    }

    fn wall(&mut self, address: &str, walls: BTreeMap<String, Vec<(u16, u16)>>) {
        self.shares.wall(address, walls);
    }

    fn discard(&mut self, prefix: &str) {
        self.shares.discard(prefix);
    }

    fn listens(&self, address: &str, port: u16, now: Time) -> Option<bool> {
        self.shares.listens(address, port, now)
    }

    fn ask(&self, address: &str, port: i64, word: &str, now: Time) -> Option<String> {
        self.shares.ask(address, port, word, now)
    }
}
