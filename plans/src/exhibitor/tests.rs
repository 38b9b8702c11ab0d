use super::recorded::recorded;
use super::*;
use crate::zookeeper::Zxid;
use proptest::prelude::*;

fn server(id: u32, hostname: &str) -> Server {
    Server { id, hostname: hostname.to_owned(), observer: false }
}

#[test]
fn servers_specs() {
    assert_eq!(parse_servers("").unwrap(), []);
    let spec = parse_servers("5:198.18.0.13, S:2:a.b,o:7:c").unwrap();
    let observer = Server { observer: true, ..server(7, "c") };
    assert_eq!(spec, [server(2, "a.b"), server(5, "198.18.0.13"), observer]);
    assert_eq!(format_servers(&spec), "2:a.b,5:198.18.0.13,O:7:c");
    for wrong in ["1", "0:a", "256:a", "x:a", "1:", "1:a,1:b", "1:a,2:a", "X:1:a", "1:a:b:c", "-1:a"] {
        assert!(parse_servers(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn recorded_states() {
    let state = parse_config_state(&recorded!("config-get-state/serving-3-nodes")).unwrap();
    assert_eq!(format_servers(&state.servers), "5:198.18.0.13,6:198.18.0.11,7:198.18.0.12");
    assert_eq!(state.rolling, None);
    assert_eq!(fixed_size(&state.config), 3);
    let rolling = parse_config_state(&recorded!("config-get-state/rolling-1")).unwrap();
    assert_eq!(rolling.rolls_through(), Some(("198.18.0.12", Some("198.18.0.13"))));
    let last = ConfigState { rolling: Some("Applying to \"198.18.0.13\"".to_owned()), ..rolling.clone() };
    assert_eq!(last.rolls_through(), Some(("198.18.0.13", None)));
    assert_eq!(rolling.rolling.unwrap(), "Applying to \"198.18.0.12\" (next will be \"198.18.0.13\")");
    assert_eq!(parse_config_state(&recorded!("config-get-state/latent")).unwrap().servers, []);
    for wrong in [
        json!({}),
        json!({"config": {}}),
        json!({"config": {"serversSpec": 7}}),
        json!({"config": {"serversSpec": "1:"}}),
    ] {
        assert!(parse_config_state(&wrong).is_err(), "an unreadable list is not an empty one: {wrong}");
    }
}

#[test]
fn recorded_statuses() {
    let codes = |answer: &Value| -> Vec<(u32, bool)> {
        parse_status(answer).unwrap().iter().map(|entry| (u32::from(entry.state), entry.is_leader)).collect()
    };
    assert_eq!(codes(&recorded!("cluster-status/serving-3-nodes")), [(3, false), (3, true), (3, false)]);
    assert_eq!(codes(&recorded!("cluster-status/one-node-killed")), [(3, false), (3, true), (1, false)]);
    assert_eq!(codes(&recorded!("cluster-status/latent-empty-spec")), []);
    let own = parse_state(&recorded!("cluster-state/outsider-not-in-spec")).unwrap();
    assert_eq!((own.state, own.is_leader), (InstanceState::Serving, true), "an outsider claims to lead");
    assert_eq!(
        parse_state(&recorded!("cluster-state/latent-no-data-dir")).unwrap().state,
        InstanceState::Latent
    );
    for wrong in
        [json!({}), json!([{}]), json!([{"hostname": "a", "code": "3", "isLeader": true}]), json!("x")]
    {
        assert!(parse_status(&wrong).is_err() && parse_state(&wrong).is_err(), "{wrong}");
    }
}

#[test]
fn recorded_srvr() {
    let parse = |answer: Value| parse_srvr(answer.as_str().unwrap());
    let leader = parse(recorded!("4ltr-srvr/serving-3-nodes")).unwrap();
    assert_eq!(
        leader,
        Srvr {
            mode: Mode::Leader,
            zxid: Zxid(0x4_0000_0000),
            connections: 1,
            nodes: 4,
            version: "3.4.6-1569965".to_owned()
        }
    );
    assert_eq!(parse(recorded!("4ltr-srvr/serving-3-nodes-follower")).unwrap().mode, Mode::Follower);
    assert_eq!(parse(recorded!("4ltr-srvr/no-quorum")), None);
    assert_eq!(parse(recorded!("4ltr-srvr/zk-not-running")), None);
    for hostile in [
        "Mode:",
        "Mode: king",
        "Mode leader",
        "Modeleader: x",
        "\u{0}",
        "Mode: leader\nConnections: -1\nNode count: 99999999999999999999",
    ] {
        assert!(parse_srvr(hostile).is_none_or(|srvr| srvr.connections == 0 && srvr.nodes == 0), "{hostile}");
    }
}

#[test]
fn a_body_is_whole_and_made_of_strings() {
    let live = parse_config_state(&recorded!("config-get-state/serving-3-nodes")).unwrap();
    let declared =
        json!({"checkMs": 30000, "zooCfgExtra": {"tickTime": 3000}, "javaEnvironment": "export A=1"});
    let servers = [server(6, "b"), server(5, "a")];
    let body = compose(&live.config, &declared, &servers, 3).unwrap();
    assert_eq!(body["serversSpec"], "5:a,6:b");
    assert_eq!(body[FIXED_SIZE_KEY], "3");
    assert_eq!((&body["checkMs"], &body["clientPort"]), (&json!("30000"), &json!("2181")));
    assert_eq!(
        body["zooCfgExtra"],
        json!({"tickTime": "3000", "initLimit": "10", "syncLimit": "5", "quorumListenOnAllIPs": "true"})
    );
    assert!(
        body.get("hostname").is_none()
            && body.get("serverId").is_none()
            && body.get("controlPanel").is_none()
    );
    fn numbers(value: &Value) -> usize {
        match value {
            Value::Number(_) | Value::Null | Value::Bool(_) => 1,
            Value::String(_) => 0,
            Value::Array(items) => items.iter().map(numbers).sum(),
            Value::Object(entries) => entries.values().map(numbers).sum(),
        }
    }
    assert_eq!(numbers(&body), 0, "{body}");
    let shared = live.config.as_object().unwrap().keys().filter(|key| !NOT_SHARED.contains(&key.as_str()));
    assert!(shared.into_iter().all(|key| body.get(key).is_some()), "what is missing would be emptied");
}

#[test]
fn a_part_of_a_configuration_is_never_set() {
    for key in REQUIRED {
        let mut live = recorded!("config-get-state/serving-3-nodes")["config"].clone();
        live.as_object_mut().unwrap().remove(key);
        assert!(compose(&live, &json!({}), &[], 3).is_err(), "{key}");
    }
    let live = recorded!("config-get-state/serving-3-nodes")["config"].clone();
    assert!(compose(&live, &json!([]), &[], 3).is_err());
    assert!(compose(&json!("x"), &json!({}), &[], 3).is_err());
}

#[test]
fn reading_back_finds_what_was_not_taken() {
    let live = recorded!("config-get-state/serving-3-nodes")["config"].clone();
    let servers = parse_servers(live["serversSpec"].as_str().unwrap()).unwrap();
    let same = compose(&live, &json!({}), &servers, 3).unwrap();
    assert_eq!(differing_keys(&live, &same), [] as [&str; 0], "nothing to set");
    let zeroed = recorded!("config-get-state/after-set-with-json-numbers-on-1.5.5")["config"].clone();
    let keys = differing_keys(&zeroed, &same);
    assert!(
        ["clientPort", "checkMs", "serversSpec"].iter().all(|key| keys.iter().any(|found| found == key)),
        "{keys:?}"
    );
    assert!(restarts("zooCfgExtra"));
    assert!(
        !["checkMs", "cleanupMaxFiles", FIXED_SIZE_KEY].into_iter().any(restarts),
        "a roll of these never ends"
    );
}

#[test]
fn ids_grow() {
    let current = [server(5, "a"), server(9, "b")];
    let hosts = |hosts: &[&str]| hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>();
    let assigned = assign_ids(&current, &hosts(&["a"]), &hosts(&["c", "d"])).unwrap();
    assert_eq!(format_servers(&assigned), "5:a,10:c,11:d", "9 was b's");
    assert!(assign_ids(&current, &hosts(&["x"]), &[]).is_err());
    let high = [server(1, "a"), server(200, "b")];
    let assigned = assign_ids(&high, &hosts(&["a", "b"]), &hosts(&["c"])).unwrap();
    assert_eq!(format_servers(&assigned), "1:a,200:b,201:c");
    assert_eq!(format_servers(&renumbered(&assigned)), "1:a,2:b,3:c");
    let all: Vec<Server> = (1..=255).map(|id| server(id, &format!("h{id}"))).collect();
    let stay: Vec<String> = all.iter().map(|server| server.hostname.clone()).collect();
    let exhausted = assign_ids(&all, &stay, &hosts(&["c"]));
    assert_eq!(exhausted, Err(ExhibitorError::IdsExhausted("c".to_owned())));
}

#[test]
fn recorded_results() {
    assert_eq!(parse_result(&recorded!("config-set/partial-body-on-1.5.5")), Ok(()));
    let message = parse_result(&recorded!("config-set/stale-lock-1-min-old")).unwrap_err();
    assert!(message.contains("another process has updated the config"), "{message}");
    assert!(parse_result(&recorded!("config-set-rolling/second-while-rolling")).is_err());
    assert!(parse_result(&json!("OK")).is_err());
}

proptest! {
    #[test]
    fn specs_survive_their_text(ids in prop::collection::btree_map(1_u32..=255, any::<bool>(), 0..9)) {
        let servers: Vec<Server> = ids
            .into_iter()
            .map(|(id, observer)| Server { id, hostname: format!("10.0.0.{id}"), observer })
            .collect();
        prop_assert_eq!(parse_servers(&format_servers(&servers)).unwrap(), servers);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = parse_servers(&text);
        let _ = parse_srvr(&text);
        let document = json!({"config": {"serversSpec": text}});
        let _ = parse_config_state(&document);
    }
}
