use super::*;
use crate::exhibitor::recorded::recorded;
use crate::exhibitor::{parse_config_state, parse_srvr, parse_state, parse_status};
use crate::observed::InstanceState;
use crate::observed::Mode;
use crate::quorum::converged;
use crate::readiness::Verdict;
use serde_json::Value;

fn pod(name: &str, ip: &str) -> Pod {
    Pod {
        name: name.to_owned(),
        ip: Some(ip.to_owned()),
        host: None,
        revision: None,
        node: None,
        phase: "Running".to_owned(),
        ready: true,
        deleting: false,
        trouble: None,
    }
}

fn pods() -> Vec<Pod> {
    vec![pod("a", "198.18.0.11"), pod("b", "198.18.0.12"), pod("c", "198.18.0.13")]
}

fn answers(pod: &str, srvr: &Value) -> PodAnswers {
    PodAnswers {
        pod: pod.to_owned(),
        config: Ok(parse_config_state(&recorded!("config-get-state/serving-3-nodes")).unwrap()),
        status: Ok(parse_status(&recorded!("cluster-status/serving-3-nodes")).unwrap()),
        state: Ok(parse_state(&recorded!("cluster-state/serving-3-nodes-leader")).unwrap()),
        srvr: Ok(parse_srvr(srvr.as_str().unwrap())),
    }
}

fn serving() -> Vec<PodAnswers> {
    let (leader, follower) =
        (recorded!("4ltr-srvr/serving-3-nodes"), recorded!("4ltr-srvr/serving-3-nodes-follower"));
    vec![answers("a", &leader), answers("b", &follower), answers("c", &follower)]
}

#[test]
fn joins_the_views_of_a_serving_ensemble() {
    let state = assemble(pods(), &serving());
    assert_eq!(converged(&state, 3), Verdict::Ready);
    let row = &state.members[0];
    assert_eq!((row.id, row.pod.as_deref(), row.hostname.as_str()), (Some(5), Some("c"), "198.18.0.13"));
    let leader = state.members.iter().find(|member| member.exhibitor_leader).unwrap();
    assert_eq!(leader.pod.as_deref(), Some("a"));
    assert_eq!(leader.zookeeper.as_ref().unwrap().mode, Mode::Leader);
    let Reading::Known(live) = live(&reading(state)) else { panic!() };
    assert_eq!((&live.document["voters"], &live.document["fixedSize"]), (&json!(3), &json!(3)));
    assert_eq!(live.document["settings"]["checkMs"], "1000");
    assert!(live.document["settings"].get("serversSpec").is_none());
}

#[test]
fn a_pod_outside_shows_its_own_state_and_no_id() {
    let mut pods = pods();
    pods.push(pod("d", "198.18.0.14"));
    let mut answers = serving();
    let mut outsider = answers[0].clone();
    outsider.pod = "d".to_owned();
    outsider.state = Ok(parse_state(&recorded!("cluster-state/outsider-not-in-spec")).unwrap());
    answers.insert(0, outsider);
    let state = assemble(pods, &answers);
    let row = state.members.last().unwrap();
    assert_eq!((row.id, row.exhibitor, row.exhibitor_leader), (None, Some(InstanceState::Serving), true));
    assert_eq!(converged(&state, 3), Verdict::Ready);
}

#[test]
fn silence_is_a_gap_and_never_an_empty_ensemble() {
    let mut answers = serving();
    answers[1].config = Err("time-out".to_owned());
    let state = assemble(pods(), &answers);
    assert_eq!(state.gaps.len(), 1);
    assert_eq!(state.gaps[0].what, "Exhibitor in pod b");
    assert!(matches!(converged(&state, 3), Verdict::Progressing(_)));
    for answer in &mut answers {
        answer.config = Err("time-out".to_owned());
    }
    let unread = reading(assemble(pods(), &answers));
    assert!(matches!(&unread, Reading::Unavailable(gap) if gap.why.contains("a is Running")));
    assert!(matches!(live(&unread), Reading::Unavailable(_)));
    let mut waiting = pod("a", "");
    (waiting.ip, waiting.trouble) = (None, Some("ImagePullBackOff".to_owned()));
    let Reading::Unavailable(gap) = reading(assemble(vec![waiting], &[])) else { panic!() };
    assert_eq!(gap.why, "no pod answers; a is Running (ImagePullBackOff)");
    assert_eq!(reading(assemble(Vec::new(), &[])), Reading::Absent);
}

#[test]
fn different_lists_are_a_gap() {
    let mut answers = serving();
    answers[2].config = Ok(parse_config_state(&recorded!("config-get-state/outsider-not-in-spec")).unwrap());
    let state = assemble(pods(), &answers);
    assert!(state.gaps.iter().any(|gap| gap.why.contains("`1:198.18.0.12`")), "{:?}", state.gaps);
}

/// What a member reads while Exhibitor rolls: before the roll has come to it, and after.
fn rolling(list: &str, status: &str) -> ConfigState {
    let mut answer = recorded!("config-get-state/rolling-1");
    answer["config"]["serversSpec"] = list.into();
    answer["config"]["rollStatus"] = status.into();
    parse_config_state(&answer).unwrap()
}

#[test]
fn a_roll_that_waits_for_a_pod_that_is_gone_is_stuck() {
    let (follower, leader) =
        (recorded!("4ltr-srvr/serving-3-nodes-follower"), recorded!("4ltr-srvr/serving-3-nodes"));
    const AFTER: &str = "2:198.18.0.12,3:198.18.0.13,4:198.18.0.14";
    const BEFORE: &str = "1:198.18.0.11,2:198.18.0.12,3:198.18.0.13";
    let status = "Applying to \"198.18.0.12\" (next will be \"198.18.0.13\")";
    let pods = |gone: &str| {
        let pods = [pod("b", "198.18.0.12"), pod("c", "198.18.0.13"), pod("d", "198.18.0.14")];
        pods.into_iter().filter(|pod| pod.name != gone).collect::<Vec<_>>()
    };
    let answering = |after: &str, before: &str| {
        let own = |pod, list, srvr| PodAnswers { config: Ok(rolling(list, status)), ..answers(pod, srvr) };
        vec![own("c", before, &leader), own("d", after, &follower)]
    };
    // Two serve by what the roll leads to, one by what was before.
    let state = assemble(pods("b"), &answering(AFTER, BEFORE));
    let stuck = StuckRoll { waits_for: "198.18.0.12".to_owned(), before: false };
    assert_eq!((state.rolling, state.stuck.as_ref()), (false, Some(&stuck)));
    assert_eq!(format_servers(&state.servers), AFTER);
    assert_eq!((crate::quorum::lost(&state), crate::quorum::healthy(&state)), (vec![stuck.waits_for], 2));
    assert!(state.gaps.is_empty() && state.behind.is_empty(), "{state:?}");
    let Verdict::Progressing(why) = converged(&state, 3) else { panic!("it is not at rest") };
    assert!(why.contains("waits for 198.18.0.12"), "{why}");
    let Reading::Known(live) = live(&Reading::Known(state)) else { panic!("it is there") };
    assert_eq!(live.document[crate::diff::ROLL], "waits for 198.18.0.12");
    // Nobody has been reached who is left: all read what was before.
    let state = assemble(pods("b"), &answering(BEFORE, BEFORE));
    assert!(state.stuck.is_some_and(|stuck| stuck.before));
    // The pod is there: the roll goes on.
    let state = assemble(pods(""), &answering(AFTER, BEFORE));
    assert_eq!((state.rolling, state.stuck), (true, None));
}

#[test]
fn an_ensemble_without_members_is_not_formed() {
    let latent = PodAnswers {
        pod: "a".to_owned(),
        config: Ok(parse_config_state(&recorded!("config-get-state/latent")).unwrap()),
        status: Ok(parse_status(&recorded!("cluster-status/latent-empty-spec")).unwrap()),
        state: Ok(parse_state(&recorded!("cluster-state/latent-no-data-dir")).unwrap()),
        srvr: Ok(None),
    };
    let read = reading(assemble(vec![pod("a", "198.18.9.11")], &[latent]));
    assert!(matches!(&read, Reading::Known(state) if state.members.len() == 1));
    assert_eq!(live(&read), Reading::Absent);
}
