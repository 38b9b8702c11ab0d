//! A run that is cut off at any changing call, and run again, ends in the same world as a run that nothing disturbed.

use crate::harness::{Lab, block_on, example, specs};
use zkprov_plans::spec::ValidSpec;
use zkprov_sandbox::server::{Cut, Side};
use zkprov_sandbox::world::World;

/// Tests that share the cuts of one course, so that they run side by side.
const STRIPES: usize = 2;
/// Calls of a course of which each is cut.
const MANY: usize = 24;
/// Of further ones, one in so many is cut: a roll repeats the same few for every member.
const THEN: usize = 3;

/// A run on the tutorial's ensemble.
#[derive(Clone, Copy)]
struct Course {
    /// Members that serve before it; `None` in an empty project.
    from: Option<u32>,
    /// Members that serve after it; `None` when it destroys.
    to: Option<u32>,
}

pub(crate) fn tutorial(replicas: u32) -> ValidSpec {
    let replicas = format!("spec.exhibitor.replicas={replicas}");
    specs(&example("tutorial"), &[&replicas, "spec.exhibitor.settings.check=1s"]).remove(0)
}

impl Course {
    /// The world before it.
    async fn before(self, lab: &Lab) -> World {
        if let Some(replicas) = self.from {
            lab.apply(&tutorial(replicas)).await.unwrap();
        }
        lab.running.world().unwrap()
    }

    async fn run(self, lab: &Lab) -> Result<(), String> {
        match (self.from, self.to) {
            (_, Some(replicas)) => lab.apply(&tutorial(replicas)).await,
            (Some(replicas), None) => lab.destroy(&tutorial(replicas), false).await,
            (None, None) => Ok(()),
        }
    }

    async fn again(self, lab: &Lab, expected: &[String]) -> Result<(), String> {
        self.run(lab).await.map_err(|error| format!("the second run: {error}"))?;
        self.check(lab, expected).await
    }

    /// Nothing is left to do, nothing is missing, nothing is left over.
    async fn check(self, lab: &Lab, expected: &[String]) -> Result<(), String> {
        if let Some(replicas) = self.to {
            let plan = lab.plan(&tutorial(replicas)).await;
            if !plan.is_empty() {
                return Err(format!("the next plan: {}", plan.words()));
            }
        }
        let found = lab.inventory();
        let but = |these: &[String], those: &[String]| {
            these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>().join("\n")
        };
        if found != expected {
            let (missing, left) = (but(expected, &found), but(&found, expected));
            return Err(format!("missing:\n{missing}\nleft over:\n{left}"));
        }
        Ok(())
    }
}

/// Cuts a course at each changing call of its stripe: before the first one took effect, and after each.
async fn cut(course: Course, stripe: usize) {
    let lab = Lab::start().await;
    let before = course.before(&lab).await;
    lab.running.set_cut(None);
    course.run(&lab).await.unwrap();
    let calls = lab.running.mutation_count();
    let expected = lab.inventory();
    for at in (1..=calls).skip(stripe).step_by(STRIPES) {
        if at > MANY && !(at / STRIPES).is_multiple_of(THEN) {
            continue;
        }
        // After one call is before the next.
        let sides = if at == 1 { &[Side::Before, Side::After][..] } else { &[Side::After] };
        for side in sides.iter().copied() {
            lab.running.restore(before.clone()).unwrap();
            lab.running.set_cut(Some(Cut { at, side }));
            let died = lab.until_cut(course.run(&lab)).await;
            lab.running.set_cut(None);
            let error = match died {
                Some(request) => {
                    let again = course.again(&lab, &expected).await;
                    again.err().map(|error| format!("{request}\n{error}"))
                }
                // Exhibitor, left alone, may have done what a call of the first run did.
                None => course.check(&lab, &expected).await.err(),
            };
            if let Some(error) = error {
                panic!("cut {at} of {calls}, {side:?} {error}");
            }
        }
    }
}

macro_rules! stripes {
    ($course:ident, $from:expr, $to:expr) => {
        mod $course {
            use super::{Course, block_on, cut};

            const COURSE: Course = Course { from: $from, to: $to };

            #[test]
            fn cut_at_odd_calls_ends_the_same() {
                block_on(cut(COURSE, 0));
            }

            #[test]
            fn cut_at_even_calls_ends_the_same() {
                block_on(cut(COURSE, 1));
            }
        }
    };
}

stripes!(apply, None, Some(3));
stripes!(grow, Some(3), Some(5));
stripes!(shrink, Some(5), Some(3));
stripes!(destroy, Some(3), None);
