//! Backups in a bucket of the embedded cloud: there and back, cut and damaged ones, and what is told of a missing bucket.

use super::backup::{acl, backup, comparable, open, varied};
use super::{Shared, bench, watch::ask};
use serde_json::{Value, json};
use zkprov_engine::backup::{Folder, Place};
use zkprov_engine::cloud::Cloud;
use zkprov_engine::connection::{Connection, CredentialSource, Endpoints, Pace};
use zkprov_engine::error::ProviderErrorKind;
use zkprov_tests::{Output, Program};

const PLACE: &str = "gs://backups/zk";

fn shared() -> Shared {
    let bench = bench();
    let served = bench.serve();
    Shared { bench, served }
}

impl Shared {
    /// Asks Cloud Storage, or the sandbox itself.
    fn ask(&self, line: &str, body: &str) -> Value {
        let answer = ask(self.host("STORAGE"), line, "Host: {address}\r\n", body);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 20"), "{line}: {answer}");
        serde_json::from_str(body).unwrap_or_default()
    }

    fn make_bucket(&self) {
        self.ask("POST /storage/v1/b?project=my-project", r#"{"name":"backups","location":"us-east1"}"#);
    }

    /// The names of all objects.
    fn objects(&self) -> Vec<String> {
        let list = self.ask("GET /storage/v1/b/backups/o", "");
        let items = list["items"].as_array().into_iter().flatten();
        items.map(|item| item["name"].as_str().unwrap().to_owned()).collect()
    }

    /// From now on the nth call of a method to Cloud Storage ends so; faults that were there are gone.
    fn fault(&self, method: &str, nth: u64, effect: &Value) {
        self.ask("DELETE /_sandbox/faults", "");
        let rule =
            json!({ "service": "storage", "method": method, "when": { "nth": nth }, "effect": effect });
        self.ask("POST /_sandbox/faults", &rule.to_string());
    }

    /// The backup that a command has just written, by its last line.
    fn taken(&self) -> String {
        let output = self.zkprov("backup").args(["--to", PLACE]).run().exits(0);
        output.out.trim().strip_prefix("gs://backups/zk/").unwrap().to_owned()
    }

    fn list(&self) -> Output {
        self.zkprov("backup list").args(["--to", PLACE]).run().exits(0)
    }

    fn restore(&self, backup: &str) -> Program {
        self.zkprov("restore --confirm exhibitor").args([backup, "--to", PLACE])
    }

    /// The same place, as the program reaches it.
    async fn place(&self) -> Place {
        let connection = Connection {
            in_cluster: false,
            endpoints: Endpoints {
                storage: Some(format!("http://{}", self.host("STORAGE"))),
                ..Endpoints::default()
            },
            credentials: CredentialSource::Anonymous,
            pace: Pace::default(),
            parallelism: 1,
        };
        let cloud = Cloud::connect(connection).await.unwrap();
        Place::Bucket(cloud.bucket(PLACE.parse().unwrap()).unwrap())
    }
}

/// Google's words for a permission that is missing.
fn denied(permission: &str) -> Value {
    let message = format!(
        "zk@p.iam.gserviceaccount.com does not have {permission} access to the Google Cloud Storage object. Permission \
         '{permission}' denied on resource (or it may not exist)."
    );
    let error = json!({ "code": 403, "message": message,
        "errors": [{ "message": message, "domain": "global", "reason": "forbidden" }] });
    json!({ "status": { "code": 403, "body": json!({ "error": error }).to_string() } })
}

#[test]
fn data_goes_to_a_bucket_and_comes_back() {
    let bench = bench();
    bench.apply("tutorial", &[]);
    let served = bench.serve();
    let shared = Shared { bench, served };
    let create = "gcloud storage buckets create gs://backups --location=LOCATION";
    for line in ["backup", "backup list", "restore any"] {
        let missing = shared.zkprov(line).args(["--to", PLACE]).run().exits(1);
        missing.complains(&["The specified bucket does not exist.", create]);
    }
    shared.make_bucket();
    assert_eq!(shared.list().complains(&["no backups in gs://backups/zk/"]).out, "");

    let varied = varied(&shared.bench);
    shared.restore(varied.to_str().unwrap()).run().exits(0);
    let first = shared.taken();
    assert_eq!(
        shared.objects(),
        [format!("zk/{first}/manifest.json"), format!("zk/{first}/znodes.jsonl.gz")]
    );
    shared.list().says(&[&format!("{first}  20"), "exhibitor as of 0x"]);
    let verified = shared.zkprov("backup verify").args(["--to", PLACE]).run().exits(0);
    verified.says(&[&format!("{first}  whole: exhibitor as of 0x")]);

    let other =
        backup(&shared.bench, "other", &[("/app", b"end", open(), 1), ("/app/new", b"new", open(), 0)]);
    std::fs::write(shared.bench.path("who"), "user:secret\n").unwrap();
    let replaced = shared.restore(other.to_str().unwrap()).args(["--auth", "digest:who"]).run().exits(0);
    let kept = replaced.complains(&["what it has now is kept in gs://backups/zk/exhibitor-"]);
    let kept = kept.err.lines().find_map(|line| line.split_once("is kept in ")).unwrap().1.to_owned();
    assert_eq!(shared.list().out.lines().count(), 2);
    // By URL, and by its name among the backups of the place.
    shared.restore(kept.trim()).run().exits(0).says(&["equal to the backup"]);
    shared.restore(&first).run().exits(0).says(&["nothing to do"]);
    let local = shared.zkprov("backup --to local").run().exits(0);
    assert_eq!(comparable(&shared.bench.path(local.out.trim())), comparable(&varied));

    survives_what_is_cut(&shared, &first);
    refuses_what_is_damaged(&shared, &first);
}

/// Whatever is lost on the way: there is a whole backup or none, and the next one goes its way.
fn survives_what_is_cut(shared: &Shared, first: &str) {
    let before = shared.list().out;
    // The znodes arrive, the manifest does not.
    shared.fault("POST", 2, &denied("storage.objects.create"));
    let cut = shared.zkprov("backup").args(["--to", PLACE]).run().exits(1);
    cut.complains(&[
        "gcloud storage buckets add-iam-policy-binding gs://backups \
         --member=serviceAccount:zk@p.iam.gserviceaccount.com --role=roles/storage.objectCreator",
        "storage.objects.create is missing",
    ]);
    let orphans: Vec<String> =
        shared.objects().into_iter().filter(|name| !before.contains(folder(name))).collect();
    let [orphan] = &orphans[..] else { panic!("{orphans:?}") };
    let name = folder(orphan);
    let listed = shared
        .list()
        .complains(&[&format!("{name} is no backup"), "gcloud storage rm --recursive gs://backups/zk/"]);
    assert_eq!(listed.out, before);
    shared.zkprov("backup verify").args(["--to", PLACE]).run().exits(0);
    shared.restore(name).run().exits(1).complains(&["manifest.json is missing"]);

    // Answers are lost, the service is busy: nobody has to know.
    shared.fault("POST", 1, &json!("resetAfter"));
    let lost = shared.taken();
    shared.fault("POST", 2, &json!({ "status": { "code": 503 } }));
    let busy = shared.taken();
    shared.fault("GET", 1, &json!("truncate"));
    let listed = shared.list().says(&[first, &lost, &busy]);

    shared.fault("DELETE", 1, &denied("storage.objects.delete"));
    let prune = || shared.zkprov("backup prune --keep 2").args(["--to", PLACE]);
    prune()
        .run()
        .exits(1)
        .complains(&["--role=roles/storage.objectAdmin", "storage.objects.delete is missing"]);
    assert_eq!(shared.list().out, listed.out);
    prune().args(["--dry-run"]).run().exits(0).says(&[&format!("would delete {first}")]);
    prune().run().exits(0).says(&[&format!("deleted {first}")]);
    assert_eq!(shared.list().out.lines().count(), 2);
    let objects = shared.objects();
    assert!(objects.len() == 5 && objects.contains(orphan), "{objects:?}");
}

fn folder(object: &str) -> &str {
    object.split('/').nth(1).unwrap()
}

fn refuses_what_is_damaged(shared: &Shared, gone: &str) {
    let names: Vec<String> =
        shared.list().out.lines().map(|line| line.split("  ").next().unwrap().to_owned()).collect();
    let [one, two] = &names[..] else { panic!("{names:?}") };
    let upload =
        format!("POST /upload/storage/v1/b/backups/o?uploadType=media&name=zk/{one}/znodes.jsonl.gz");
    shared.ask(&upload, "something else, and much longer than what has been there before");
    let verified = shared.zkprov("backup verify").args(["--to", PLACE]).run().exits(1);
    verified.says(&[&format!("{one}  damaged: znodes.jsonl.gz is not what"), &format!("{two}  whole: ")]);
    let refused = shared.restore(&format!("{PLACE}/{one}")).run().exits(1);
    let refused = refused.complains(&["znodes.jsonl.gz is not what the manifest says", "zkprov backup list"]);
    assert!(!refused.err.contains("reading the data"), "{refused}");
    shared.restore(gone).run().exits(1).complains(&["manifest.json is missing"]);
    // What could not be read is not called damaged.
    shared.fault("GET", 2, &denied("storage.objects.get"));
    let unread = shared.zkprov("backup verify").args([two, "--to", PLACE]).run().exits(1);
    assert!(!unread.out.contains("damaged"), "{unread}");
    unread.complains(&["--role=roles/storage.objectViewer"]);
}

#[test]
fn a_name_that_exists_is_never_overwritten() {
    let shared = shared();
    shared.make_bucket();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let place = shared.place().await;
        let closed = vec![acl(31, "auth", "")];
        let made = |name: &str, data: &[u8]| {
            Folder::read(&backup(&shared.bench, name, &[("/a", data, closed.clone(), 0)])).unwrap()
        };
        let (one, two) = (made("one", b"1"), made("two", b"2"));
        place.write("taken", one.0.clone(), &one.1).await.unwrap();
        let error = place.write("taken", two.0.clone(), &two.1).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::AlreadyExists, "{error}");
        // The same data, read at another time.
        let mut later = one.0.clone();
        later.time = "2026-01-01T00:00:01Z".to_owned();
        let error = place.write("taken", later, &one.1).await.unwrap_err();
        assert_eq!(error.kind, ProviderErrorKind::AlreadyExists, "{error}");
        let there = place.read("taken").await.unwrap();
        assert_eq!(there, one);
        place.remove("taken").await.unwrap();
        place.remove("taken").await.unwrap();
        place.write("taken", two.0, &two.1).await.unwrap();
        assert_eq!(place.read("taken").await.unwrap().1, two.1);
    });
}

#[test]
fn what_names_no_backup_is_wrong_usage() {
    let bench = bench();
    let zkprov = |line: &str| bench.tutorial(line).run().exits(64);
    zkprov("backup list --to gs://Backups")
        .complains(&["`gs://Backups` is not gs://BUCKET[/PREFIX]", "gcloud storage ls"]);
    zkprov("restore gs://backups")
        .complains(&["gs://backups is a bucket", "zkprov backup list --to gs://backups"]);
}
