use super::Storage;
use crate::api::{Answer, Context, Endpoints, Request, Response, Service};
use crate::ids::Ids;
use serde_json::{Value, json};

struct World(Storage, u64);

impl World {
    /// One with a bucket.
    fn new() -> Self {
        let mut world = Self(Storage::default(), 1_795_000_000_000);
        world.ok("POST", "/storage/v1/b?project=p", br#"{"name":"backups","location":"us-east1"}"#);
        world
    }

    fn call(&mut self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Response {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let request = Request {
            service: Service::Storage,
            method: method.to_owned(),
            path: path.to_owned(),
            query: pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
            headers: vec![("content-type".to_owned(), content_type.to_owned())],
            body: body.to_vec(),
        };
        self.1 += 1;
        let (mut ids, endpoints) = (Ids::new(1), Endpoints::default());
        let mut context = Context { now: self.1, arrived: self.1, ids: &mut ids, endpoints: &endpoints };
        let Answer::Done(response) = self.0.handle(&request, &mut context) else { panic!("no response") };
        response
    }

    fn ok(&mut self, method: &str, target: &str, body: &[u8]) -> Value {
        let response = self.call(method, target, "application/json", body);
        assert!(response.status < 300, "{method} {target}: {}", String::from_utf8_lossy(&response.body));
        serde_json::from_slice(&response.body).unwrap_or_default()
    }

    fn fails(&mut self, method: &str, target: &str) -> (u16, Value) {
        let response = self.call(method, target, "text/plain", b"other");
        (response.status, serde_json::from_slice(&response.body).unwrap())
    }

    fn put(&mut self, name: &str) -> Value {
        let target =
            format!("/upload/storage/v1/b/backups/o?uploadType=media&ifGenerationMatch=0&name={name}");
        self.ok("POST", &target, name.as_bytes())
    }
}

const OBJECTS: &str = "/storage/v1/b/backups/o";

#[test]
fn an_object_is_there_until_it_is_deleted() {
    let mut world = World::new();
    let made = world.put("zk/a");
    assert_eq!((made["size"].as_str(), made["metageneration"].as_str()), (Some("4"), Some("1")));
    let path = format!("{OBJECTS}/zk%2Fa");
    assert_eq!(world.ok("GET", &path, b""), made);
    for media in [format!("{path}?alt=media"), format!("/download{path}?alt=media")] {
        let read = world.call("GET", &media, "", b"");
        assert_eq!(read.body, b"zk/a");
        let hash =
            format!("crc32c={},md5={}", made["crc32c"].as_str().unwrap(), made["md5Hash"].as_str().unwrap());
        assert!(read.headers.contains(&("x-goog-hash".to_owned(), hash)));
    }
    assert_eq!(world.fails("DELETE", &format!("{path}?ifGenerationMatch=7")).0, 412);
    let generation = made["generation"].as_str().unwrap();
    world.ok("DELETE", &format!("{path}?ifGenerationMatch={generation}"), b"");
    let missing = json!({"code": 404, "message": "No such object: backups/zk/a",
        "errors": [{"message": "No such object: backups/zk/a", "domain": "global", "reason": "notFound"}]});
    assert_eq!(world.fails("GET", &path), (404, json!({ "error": missing })));
    let read = world.call("GET", &format!("{path}?alt=media"), "", b"");
    assert_eq!((read.status, read.body.as_slice()), (404, &b"No such object: backups/zk/a"[..]));
}

#[test]
fn what_is_there_is_not_overwritten_where_nothing_may_be_there() {
    let mut world = World::new();
    let made = world.put("a");
    let upload = "/upload/storage/v1/b/backups/o?uploadType=media&name=a";
    let (status, body) = world.fails("POST", &format!("{upload}&ifGenerationMatch=0"));
    assert_eq!((status, &body["error"]["errors"][0]["reason"]), (412, &json!("conditionNotMet")));
    assert_eq!(world.ok("GET", &format!("{OBJECTS}/a"), b""), made);
    let second = world.ok("POST", upload, b"other");
    let generation = |object: &Value| object["generation"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(generation(&second) > generation(&made));
}

#[test]
fn fields_come_before_the_bytes_of_a_multipart_upload() {
    let mut world = World::new();
    let body = |md5: &str| {
        format!(
            "--b\r\nContent-Type: application/json\r\n\r\n{{\"name\":\"a\",\"md5Hash\":\"{md5}\"}}\r\n\
             --b\r\nContent-Type: text/plain\r\n\r\none\r\n\r\ntwo\r\n--b--\r\n"
        )
    };
    let target = "/upload/storage/v1/b/backups/o?uploadType=multipart";
    let refused = world.call("POST", target, "multipart/related; boundary=\"b\"", body("AAAA").as_bytes());
    assert_eq!(refused.status, 400, "{}", String::from_utf8_lossy(&refused.body));
    let made = world.call(
        "POST",
        target,
        "multipart/related; boundary=\"b\"",
        body("75jA0pshH0eDfw1mW89Xgg==").as_bytes(),
    );
    let said = String::from_utf8_lossy(&made.body);
    assert_eq!(made.status, 200, "{said}");
    assert!(said.contains("text/plain"), "{said}");
    assert_eq!(world.call("GET", &format!("{OBJECTS}/a?alt=media"), "", b"").body, b"one\r\n\r\ntwo");
}

#[test]
fn lists_by_folders_and_by_pages() {
    let mut world = World::new();
    for name in ["a", "b/one", "b/two", "b/x/three", "c", "d/four"] {
        world.put(name);
    }
    let names = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().into_iter().flatten().map(|item| item["name"].as_str());
        let folders = page["prefixes"].as_array().into_iter().flatten().map(Value::as_str);
        items.chain(folders).map(|name| name.unwrap().to_owned()).collect()
    };
    for (query, wanted) in [
        ("", vec!["a", "b/one", "b/two", "b/x/three", "c", "d/four"]),
        ("?prefix=b", vec!["b/one", "b/two", "b/x/three"]),
        ("?delimiter=/", vec!["a", "c", "b/", "d/"]),
        ("?delimiter=/&prefix=b/", vec!["b/one", "b/two", "b/x/"]),
        ("?delimiter=/&prefix=z/", vec![]),
    ] {
        let list = world.ok("GET", &format!("{OBJECTS}{query}"), b"");
        assert_eq!(names(&list), wanted, "{query}");
        assert!(list.get("nextPageToken").is_none());
    }
    for most in 1..5 {
        let (mut all, mut token) = (Vec::new(), String::new());
        loop {
            let page = world.ok("GET", &format!("{OBJECTS}?delimiter=/&maxResults={most}{token}"), b"");
            assert!(names(&page).len() <= most);
            all.extend(names(&page));
            match page["nextPageToken"].as_str() {
                Some(next) => token = format!("&pageToken={next}"),
                None => break,
            }
        }
        all.sort();
        assert_eq!(all, ["a", "b/", "c", "d/"], "{most} a page");
    }
}

#[test]
fn buckets_are_made_listed_and_deleted_when_they_are_empty() {
    let mut world = World::new();
    let bucket = world.ok("GET", "/storage/v1/b/backups", b"");
    assert_eq!(
        (bucket["location"].as_str(), bucket["locationType"].as_str()),
        (Some("US-EAST1"), Some("region"))
    );
    assert_eq!(world.ok("GET", "/storage/v1/b?project=p", b"")["items"], json!([bucket]));
    assert_eq!(world.ok("GET", "/storage/v1/b?project=other", b"").get("items"), None);
    let again = world.call("POST", "/storage/v1/b?project=p", "application/json", br#"{"name":"backups"}"#);
    assert_eq!(again.status, 409);
    world.put("a");
    assert_eq!(world.fails("DELETE", "/storage/v1/b/backups").0, 409);
    world.ok("DELETE", &format!("{OBJECTS}/a"), b"");
    world.ok("DELETE", "/storage/v1/b/backups", b"");
    let gone = world.fails("GET", OBJECTS);
    assert_eq!((gone.0, &gone.1["error"]["message"]), (404, &json!("The specified bucket does not exist.")));
}

#[test]
fn what_is_not_here_is_refused() {
    let mut world = World::new();
    for (method, target) in [
        ("GET", "/storage/v1/b/backups/o?softDeleted=True"),
        ("GET", "/storage/v1/b/backups/o?matchGlob=**"),
        ("PUT", "/storage/v1/b/backups"),
        ("POST", "/upload/storage/v1/b/backups/o?uploadType=resumable&name=a"),
    ] {
        assert_eq!(world.fails(method, target).0, 501, "{method} {target}");
    }
    world.ok("GET", "/storage/v1/b/backups/o?softDeleted=False", b"");
    assert_eq!(world.fails("GET", "/storage/v1/nothing").0, 404);
}
