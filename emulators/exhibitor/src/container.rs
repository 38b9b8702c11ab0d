//! Members as the containers of a cluster's pods.

use crate::Shares;
use crate::api::{Answer, Context, Request, Time};
use crate::containers::{ContainerStart, Containers, Exit};
use crate::ids::Ids;
use std::collections::BTreeMap;

impl Containers for Shares {
    fn start(&mut self, container: ContainerStart, now: Time, ids: &mut Ids) {
        self.start(container, now, ids);
    }

    fn stop(&mut self, address: &str, now: Time) {
        self.stop(address, now);
    }

    fn ready(&self, address: &str, port: Option<i64>, accept_standalone: bool) -> bool {
        self.ready(address, port, accept_standalone)
    }

    fn answers(&self, address: &str, now: Time) -> bool {
        self.answers(address, now)
    }

    fn exited(&self, address: &str) -> bool {
        self.exited(address)
    }

    fn handle(&mut self, address: &str, request: &Request, context: &mut Context<'_>) -> Option<Answer> {
        self.handle(address, request, context)
    }

    fn run(&self, address: &str, command: &[String]) -> Exit {
        self.run(address, command)
    }

    fn wall(&mut self, address: &str, walls: BTreeMap<String, Vec<(u16, u16)>>) {
        self.wall(address, walls);
    }

    fn discard(&mut self, prefix: &str) {
        self.discard(prefix);
    }

    fn listens(&self, address: &str, port: u16, now: Time) -> Option<bool> {
        self.listens(address, port, now)
    }

    fn ask(&self, address: &str, port: i64, word: &str, now: Time) -> Option<String> {
        self.ask(address, port, word, now)
    }
}
