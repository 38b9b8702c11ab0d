//! Exhibitors as the containers of a cluster's pods.

use zkprov_emulator_common::api::{Answer, Context, Request, Time};
use zkprov_emulator_common::ids::Ids;
use zkprov_emulator_exhibitor::{MemberStart, Shares};
use zkprov_emulator_kubernetes::{ContainerStart, Containers, Exit};

/// The members that the pods of a cluster run.
#[derive(Debug)]
pub(crate) struct Members<'a>(pub(crate) &'a mut Shares);

impl Containers for Members<'_> {
    fn start(&mut self, container: ContainerStart, now: Time, ids: &mut Ids) {
        let ContainerStart { share, address, hostname, volume, ensemble_size, env } = container;
        self.0.start(MemberStart { share, address, hostname, volume, ensemble_size, env }, now, ids);
    }

    fn stop(&mut self, address: &str, now: Time) {
        self.0.stop(address, now);
    }

    fn ready(&self, address: &str, port: Option<i64>, accept_standalone: bool) -> bool {
        self.0.ready(address, port, accept_standalone)
    }

    fn answers(&self, address: &str, now: Time) -> bool {
        self.0.answers(address, now)
    }

    fn exited(&self, address: &str) -> bool {
        self.0.exited(address)
    }

    fn handle(&mut self, address: &str, request: &Request, context: &mut Context<'_>) -> Option<Answer> {
        self.0.handle(address, request, context)
    }

    fn run(&self, address: &str, command: &[String]) -> Exit {
        let ended = self.0.run(address, command);
        Exit { code: ended.code, stdout: ended.stdout, stderr: ended.stderr }
    }
}
