//! Settings: looked at, changed live and one member at a time, and brought along by the file.

use super::bench;

#[test]
fn settings_are_shown_changed_and_written_into_the_file() {
    let bench = bench();
    bench
        .tutorial("config get nonsense")
        .run()
        .exits(64)
        .complains(&["no setting `nonsense`", "zooCfg.NAME"]);
    bench.tutorial("config get").run().exits(1).complains(&["exhibitor does not exist"]);
    let file = bench.path("zkprov.yaml");
    let text = std::fs::read_to_string(zkprov_tests::example("tutorial/zkprov.yaml")).unwrap();
    let text =
        text.replace("    replicas: 3", "    heap: 256MiB # what the pods have room for\n    replicas: 3");
    std::fs::write(&file, &text).unwrap();
    bench.sandbox("apply --yes").run().exits(0);

    let all = bench.sandbox("config get --format json").run().exits(0).json();
    let of = |name: &str| all.as_array().unwrap().iter().find(|one| one["name"] == name).unwrap();
    assert_eq!((&of("check")["live"], &of("check")["effect"]), (&"30000".into(), &"live".into()));
    assert_eq!(of("zooCfg.tickTime")["effect"], "rolling");
    assert!(
        all.as_array().unwrap().iter().all(|one| one["declared"].is_null() || one["live"] == one["declared"])
    );

    let live = bench.sandbox("config set check=20s --yes").run().exits(0);
    live.says(&["settings.checkMs: 30000 -> 20000", "in force at once, no member restarts"])
        .complains(&["the next apply sets it back"]);
    bench.sandbox("config get check").run().exits(0).says(&["20000  30000 *"]);

    bench.sandbox("config set heap=one --yes").run().exits(1);
    bench
        .sandbox("config set zooCfg.tickTime=3000 --yes --write")
        .run()
        .exits(1)
        .complains(&["zooCfg.tickTime"]);
    bench.sandbox("config get zooCfg.tickTime").run().exits(0).says(&["2000"]);

    let rolled = bench.sandbox("config set heap=320MiB --yes --write").run().exits(0);
    let rolled = rolled.says(&[
        "members restart one by one, followers first, the leader last",
        "quorum: voters 3",
        "-Xmx320m",
    ]);
    // Written before the step and read on each member after it.
    rolled.complains(&["znodes ", "/zkprov read on 3 members"]);
    let expected = text.replace("heap: 256MiB #", "heap: 320MiB #");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), expected);
    bench.sandbox("plan --detailed-exitcode").run().exits(0).says(&["no changes"]);

    let heap = bench.sandbox("config set jvmOptions=-Xmx1g --yes").run().exits(1);
    heap.complains(&["heap-in-jvm-options", "write `heap: 512MiB`"]);
    let options =
        "config set jvmOptions=-XX:+UseSerialGC --yes --format jsonl --set spec.exhibitor.canary=false";
    let options = bench.sandbox(options).run().exits(0);
    options.says(&["restarting ", "is back and in sync", r#""type":"step_measured""#, r#""canary":[]"#]);
    let shown = bench.sandbox("config get jvmOptions heap").run().exits(0);
    shown.says(&["-XX:+UseSerialGC", "-Xms320m -Xmx320m", "one by one"]);

    // A key with dots is a key like any other.
    let purge = bench.sandbox("config set zooCfg.autopurge.purgeInterval=12 --yes").run().exits(0);
    purge.says(&[
        "settings.zooCfgExtra[autopurge.purgeInterval]: (absent) -> 12",
        "members restart one by one",
    ]);
    let declared =
        r"plan --detailed-exitcode --set spec.exhibitor.settings.zooCfg.autopurge\.purgeInterval=12";
    bench.sandbox(declared).run().exits(0).says(&["no changes"]);
    bench.sandbox("config get zooCfg.autopurge.purgeInterval").run().exits(0).says(&["one by one", "12"]);
}
