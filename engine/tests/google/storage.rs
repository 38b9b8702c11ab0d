//! Objects of a bucket: what is sent, what is repeated, and what a lost answer is taken for.

use super::support::connection;
use super::support::server::{Reply, Server, error, ok, reply};
use serde_json::{Value, json};
use zkprov_engine::credentials::Credentials;
use zkprov_engine::error::{ProviderError, ProviderErrorKind as Kind};
use zkprov_engine::providers::storage::{Object, Storage};

const UPLOAD: &str = "POST /upload/storage/v1/b/backups/o";
const READ: &str = "GET /storage/v1/b/backups/o/zk%2Fa%20b";
const DELETE: &str = "DELETE /storage/v1/b/backups/o/zk%2Fa%20b";
const LIST: &str = "GET /storage/v1/b/backups/o";
const OBJECT: Object<'_> = Object { bucket: "backups", name: "zk/a b" };

fn storage(server: &Server) -> Storage {
    let connection = connection(&server.url);
    let credentials = Credentials::find(&connection.credentials).unwrap();
    Storage::connect(&connection, &credentials).unwrap()
}

fn taken() -> Reply {
    error(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.")
}

fn missing() -> Reply {
    reply(404, json!("No such object: backups/zk/a b"))
}

async fn create(server: &Server) -> Result<(), ProviderError> {
    storage(server).create(OBJECT, "application/json", b"{\"a\":1}".to_vec()).await
}

#[tokio::test]
async fn an_upload_is_sent_for_a_name_that_is_free() {
    let server = Server::start().await;
    server.on(UPLOAD, [ok(json!({}))]);
    create(&server).await.unwrap();
    let [seen] = &server.seen()[..] else { panic!("{:?}", server.seen()) };
    assert_eq!(seen.query, "uploadType=media&name=zk%2Fa+b&ifGenerationMatch=0");
    assert_eq!(seen.body, json!({"a": 1}));
}

/// By the answers to the upload and to the read that follows a refusal: uploads sent, and the end.
#[tokio::test]
async fn a_lost_answer_is_looked_up_and_nothing_is_overwritten() {
    let done = || ok(json!({}));
    let ours = || ok(json!({"a": 1}));
    let cases: [(Vec<Reply>, Reply, usize, Option<Kind>); 8] = [
        (vec![error(503, "backendError", "x"), done()], missing(), 2, None),
        (vec![done().cut(), taken()], ours(), 2, None),
        (vec![error(504, "gatewayTimeout", "x"), taken()], ours(), 2, None),
        (vec![ok(json!({})).silent(), taken()], ours(), 2, None),
        (vec![taken()], ok(json!({"a": 2})), 1, Some(Kind::AlreadyExists)),
        (
            vec![taken()],
            ok(json!("a much longer text than was sent, which is not even read")),
            1,
            Some(Kind::AlreadyExists),
        ),
        (vec![taken()], error(403, "forbidden", "no"), 1, Some(Kind::Denied)),
        (vec![error(500, "internalError", "x")], missing(), 8, Some(Kind::Transient)),
    ];
    for (uploads, read, sent, end) in cases {
        let server = Server::start().await;
        server.on(UPLOAD, uploads).on(READ, [read]);
        let created = create(&server).await;
        assert_eq!(created.as_ref().err().map(|error| error.kind), end, "{created:?}");
        assert_eq!(server.seen_on(UPLOAD).len(), sent, "{created:?}");
    }
}

#[tokio::test]
async fn an_absence_is_the_objects_own() {
    let no_bucket = || error(404, "notFound", "The specified bucket does not exist.");
    for (answer, absent) in [(missing(), true), (no_bucket(), false), (error(403, "forbidden", "no"), false)]
    {
        let server = Server::start().await;
        server.on(READ, [answer.clone()]).on(DELETE, [answer]);
        let read = storage(&server).read(OBJECT, 9).await;
        assert_eq!(read.is_ok_and(|found| found.is_none()), absent);
        assert_eq!(storage(&server).exists(OBJECT).await.is_ok_and(|there| !there), absent);
        assert_eq!(storage(&server).delete(OBJECT).await.is_ok(), absent);
    }
}

#[tokio::test]
async fn an_object_is_read_as_a_whole_and_no_further_than_it_may_be_long() {
    let text = Value::from("x".repeat(1 << 20));
    let server = Server::start().await;
    server.on(READ, [ok(text.clone()).cut(), ok(text.clone())]);
    let read = storage(&server).read(OBJECT, 2 << 20).await.unwrap().unwrap();
    assert_eq!(read, text.to_string().as_bytes());
    let read = storage(&server).read(OBJECT, 1000).await.unwrap().unwrap();
    assert!(read.len() > 1000 && read.len() < 1 << 20, "{}", read.len());
}

#[tokio::test]
async fn folders_come_page_by_page() {
    let server = Server::start().await;
    let page = |folder: &str, next: Value| ok(json!({"prefixes": [folder], "nextPageToken": next}));
    server.on(LIST, [page("zk/a/", json!("t=1")), page("zk/b/", Value::Null)]);
    assert_eq!(storage(&server).folders("backups", "zk/").await.unwrap(), ["a", "b"]);
    let queries: Vec<String> = server.seen().into_iter().map(|seen| seen.query).collect();
    let first = "delimiter=%2F&prefix=zk%2F&fields=prefixes%2CnextPageToken";
    assert_eq!(queries, [first.to_owned(), format!("{first}&pageToken=t%3D1")]);
}
