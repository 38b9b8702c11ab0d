//! Injected faults: rules that make calls fail as networks and overloaded services do.
//!
//! Rules live in the serving process, not in the world: the world stays correct, only its callers are mistreated.

use crate::api::{Request, Service};
use serde::{Deserialize, Serialize};
use std::str::FromStr;
use zkprov_emulator_common::glob::glob_matches;

/// One rule: which calls, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rule {
    /// `compute`, `container`, `filestore`, `storage` or `kubernetes`; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// HTTP method; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The request's path, where `*` stands for any characters, slashes included; absent: any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Which of the calls that match.
    #[serde(default)]
    pub when: When,
    /// What happens to them.
    pub effect: Effect,
}

/// Which of the calls that match a rule it strikes. Calls are counted from 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// All of them.
    #[default]
    Always,
    /// The nth only.
    Nth(u64),
    /// Every nth: n, 2n, 3n, …
    Every(u64),
    /// The first n.
    First(u64),
}

impl When {
    const fn strikes(self, count: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nth(n) => count == n,
            Self::Every(n) => n > 0 && count.is_multiple_of(n),
            Self::First(n) => count <= n,
        }
    }
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// Answered with this status, without effect.
    Status {
        /// HTTP status, 400 to 599.
        code: u16,
        /// Body; absent: an error body in Google's form.
        #[serde(default)]
        body: Option<String>,
    },
    /// Answered 429 (or another status) with a `Retry-After` header, without effect.
    RetryAfter {
        /// Seconds the header asks for.
        seconds: u32,
        /// HTTP status, 429 or 503.
        code: u16,
    },
    /// Carried out after this much virtual time.
    Delay {
        /// Virtual milliseconds.
        milliseconds: u64,
    },
    /// The connection is dropped before the call takes effect.
    ResetBefore,
    /// The call takes effect and the connection is dropped without a response.
    ResetAfter,
    /// The call takes effect; half of the response's body arrives.
    Truncate,
}

/// Rules with their counters.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    rules: Vec<(Rule, u64)>,
}

impl Faults {
    /// Starts counting at these rules.
    #[must_use]
    pub fn new(rules: Vec<Rule>) -> Self {
        Self { rules: rules.into_iter().map(|rule| (rule, 0)).collect() }
    }

    /// Adds a rule after those that are there.
    pub fn push(&mut self, rule: Rule) {
        self.rules.push((rule, 0));
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.rules.clear();
    }

    /// The rules, each with the number of calls that matched it so far.
    #[must_use]
    pub fn rules(&self) -> &[(Rule, u64)] {
        &self.rules
    }

    /// Counts the request at every rule that matches it; the effect of the first rule that strikes.
    pub fn strike(&mut self, request: &Request) -> Option<Effect> {
        let mut effect = None;
        for (rule, count) in self.rules.iter_mut().filter(|(rule, _)| rule.matches(request)) {
            *count += 1;
            if effect.is_none() && rule.when.strikes(*count) {
                effect = Some(rule.effect.clone());
            }
        }
        effect
    }
}

impl Rule {
    fn matches(&self, request: &Request) -> bool {
        let any = |wanted: &Option<String>, is: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(is))
        };
        any(&self.service, service_name(&request.service))
            && any(&self.method, &request.method)
            && self.path.as_ref().is_none_or(|glob| glob_matches(glob, &request.path))
    }
}

/// The short name of a service, as rules and logs write it.
#[must_use]
pub const fn service_name(service: &Service) -> &'static str {
    match service {
        Service::Compute => "compute",
        Service::Container => "container",
        Service::Filestore => "filestore",
        Service::Storage => "storage",
        Service::Kubernetes(_) => "kubernetes",
    }
}

/// Why a rule's text was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "fault {text:?}: {problem}; for example: service=compute,method=POST,path=*/instances,nth=1,status=503"
)]
pub struct RuleError {
    text: String,
    problem: String,
}

/// `key=value` pairs with commas between: `service`, `method`, `path`, one of `nth`, `every`, `first`, and one effect of
/// `status=CODE`, `retry-after=SECONDS`, `delay=MILLISECONDS`, `reset=before`, `reset=after`, `truncate`.
impl FromStr for Rule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let error = |problem: String| RuleError { text: text.to_owned(), problem };
        let (mut service, mut method, mut path, mut when, mut effect) =
            (None, None, None, When::Always, None);
        for pair in text.split(',') {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let number =
                || value.parse::<u64>().map_err(|_| error(format!("{key} takes a number, not {value:?}")));
            match key {
                "service" => service = Some(value.to_owned()),
                "method" => method = Some(value.to_owned()),
                "path" => path = Some(value.to_owned()),
                "nth" => when = When::Nth(number()?),
                "every" => when = When::Every(number()?),
                "first" => when = When::First(number()?),
                _ => effect = Some(parse_effect(key, value).map_err(&error)?),
            }
        }
        let effect = effect.ok_or_else(|| error("no effect is given".to_owned()))?;
        Ok(Self { service, method, path, when, effect })
    }
}

fn parse_effect(key: &str, value: &str) -> Result<Effect, String> {
    let bad = |expected: &str| format!("{key} takes {expected}, not {value:?}");
    match (key, value) {
        ("status", _) => match value.parse() {
            Ok(code @ 400..=599) => Ok(Effect::Status { code, body: None }),
            _ => Err(bad("a status from 400 to 599")),
        },
        ("retry-after", _) => {
            let seconds = value.parse().map_err(|_| bad("seconds"))?;
            Ok(Effect::RetryAfter { seconds, code: 429 })
        }
        ("delay", _) => Ok(Effect::Delay { milliseconds: value.parse().map_err(|_| bad("milliseconds"))? }),
        ("reset", "before") => Ok(Effect::ResetBefore),
        ("reset", "after") => Ok(Effect::ResetAfter),
        ("reset", _) => Err(bad("before or after")),
        ("truncate", _) => Ok(Effect::Truncate),
        _ => Err(format!("{key:?} is not known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, path: &str) -> Request {
        Request {
            service: Service::Compute,
            method: method.into(),
            path: path.into(),
            query: vec![],
            headers: vec![],
            body: vec![],
        }
    }

    #[test]
    fn globs_match_whole_paths() {
        for (glob, text, expected) in [
            ("*", "", true),
            ("*/instances", "/a/b/instances", true),
            ("*/instances", "/a/b/instances/x", false),
            ("/a/*/c/*", "/a/b/c/d/e", true),
            ("/a/*/c/*", "/a/b/d/e", false),
            ("/a", "/a", true),
            ("/a", "/ab", false),
            ("*ab*ab", "ab", false),
        ] {
            assert_eq!(glob_matches(glob, text), expected, "{glob} {text}");
        }
    }

    #[test]
    fn the_nth_match_is_struck_and_others_are_not() {
        let rule: Rule = "service=compute,method=post,path=*/disks,nth=2,status=503".parse().unwrap();
        let mut faults = Faults::new(vec![rule]);
        assert_eq!(faults.strike(&request("POST", "/x/disks")), None);
        assert_eq!(faults.strike(&request("GET", "/x/disks")), None);
        assert_eq!(
            faults.strike(&request("POST", "/x/disks")),
            Some(Effect::Status { code: 503, body: None })
        );
        assert_eq!(faults.strike(&request("POST", "/x/disks")), None);
    }

    #[test]
    fn every_and_first_count() {
        let mut every = Faults::new(vec!["every=2,reset=after".parse().unwrap()]);
        let hits = (0..4).filter(|_| every.strike(&request("GET", "/")).is_some()).count();
        assert_eq!(hits, 2);
        let mut first = Faults::new(vec!["first=3,truncate".parse().unwrap()]);
        let hits = (0..5).filter(|_| first.strike(&request("GET", "/")).is_some()).count();
        assert_eq!(hits, 3);
    }

    #[test]
    fn bad_rules_say_why() {
        for (text, why) in [
            ("service=compute", "no effect"),
            ("status=200", "400 to 599"),
            ("nth=x,truncate", "a number"),
            ("reset=maybe", "before or after"),
            ("colour=red", "not known"),
        ] {
            let error = text.parse::<Rule>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_survives_json() {
        let rule: Rule = "path=*/wait,every=3,retry-after=2".parse().unwrap();
        let text = serde_json::to_string(&rule).unwrap();
        assert_eq!(serde_json::from_str::<Rule>(&text).unwrap(), rule);
    }
}
