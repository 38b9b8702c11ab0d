//! An object: its bytes, and what there is to say of them.

use super::HOST;
use super::failure::Failure;
use crate::api::{Response, Time};
use crate::rest::{base64, timestamp};
use md5::{Digest, Md5};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Fields that an upload may set.
const FIELDS: &[&str] = &["cacheControl", "contentDisposition", "contentLanguage", "contentType", "metadata"];

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Object {
    pub(super) generation: u64,
    created: Time,
    /// When it was overwritten or deleted, if it is a noncurrent version.
    #[serde(default)]
    pub(super) deleted: Option<Time>,
    given: Map<String, Value>,
    #[serde(with = "encoded")]
    bytes: Vec<u8>,
}

impl Object {
    /// A new object, if its bytes are those that the upload said.
    pub(super) fn new(
        mut given: Map<String, Value>,
        bytes: Vec<u8>,
        generation: u64,
        created: Time,
    ) -> Result<Self, Failure> {
        for (field, name, right) in [("md5Hash", "MD5", md5(&bytes)), ("crc32c", "CRC32C", crc32c(&bytes))] {
            if let Some(said) = given.remove(field)
                && said != right
            {
                let why =
                    format!("Provided {name} hash {said} doesn't match calculated {name} hash \"{right}\".");
                return Err(Failure::new(400, "invalid", why));
            }
        }
        match given.keys().find(|field| !FIELDS.contains(&field.as_str())) {
            Some(field) => Err(Failure::not_here(&format!("the object's field {field}"))),
            None => Ok(Self { generation, created, deleted: None, given, bytes }),
        }
    }

    /// What there is to say of it.
    pub(super) fn render(&self, bucket: &str, name: &str, origin: &str) -> Value {
        let generation = self.generation.to_string();
        let (path, created) = (format!("b/{bucket}/o/{}", encode(name)), timestamp(self.created));
        let mut value = json!({
            "kind": "storage#object",
            "id": format!("{bucket}/{name}/{generation}"),
            "selfLink": format!("{HOST}/{path}"),
            "mediaLink": format!("{origin}/download/storage/v1/{path}?generation={generation}&alt=media"),
            "name": name,
            "bucket": bucket,
            "generation": generation,
            "metageneration": "1",
            "contentType": "application/octet-stream",
            "storageClass": "STANDARD",
            "size": self.bytes.len().to_string(),
            "md5Hash": md5(&self.bytes),
            "crc32c": crc32c(&self.bytes),
            "etag": self.etag(),
            "timeCreated": created,
            "updated": created,
            "timeStorageClassUpdated": created,
            "timeFinalized": created,
        });
        if let Some(deleted) = self.deleted {
            value["timeDeleted"] = json!(timestamp(deleted));
        }
        for (field, given) in &self.given {
            value[field] = given.clone();
        }
        value
    }

    /// Its bytes.
    pub(super) fn media(&self) -> Response {
        let content_type = self.given.get("contentType").and_then(Value::as_str);
        let mut response =
            Response::text(200, content_type.unwrap_or("application/octet-stream"), self.bytes.clone());
        let hash = format!("crc32c={},md5={}", crc32c(&self.bytes), md5(&self.bytes));
        response.headers.extend([
            ("etag".to_owned(), self.etag()),
            ("x-goog-generation".to_owned(), self.generation.to_string()),
            ("x-goog-metageneration".to_owned(), "1".to_owned()),
            ("x-goog-storage-class".to_owned(), "STANDARD".to_owned()),
            ("x-goog-hash".to_owned(), hash),
        ]);
        response
    }

    fn etag(&self) -> String {
        base64(&self.generation.to_be_bytes())
    }
}

fn md5(bytes: &[u8]) -> String {
    base64(&Md5::digest(bytes))
}

/// Castagnoli's CRC, big-endian in base64.
fn crc32c(bytes: &[u8]) -> String {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let shift = |crc: u32, _| if crc & 1 == 1 { (crc >> 1) ^ POLYNOMIAL } else { crc >> 1 };
    let crc = bytes.iter().fold(!0, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), shift));
    base64(&(!crc).to_be_bytes())
}

/// As it stands in a path: all but unreserved characters encoded.
fn encode(name: &str) -> String {
    const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, PLAIN).to_string()
}

/// Bytes in the state file.
mod encoded {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD.decode(String::deserialize(from)?).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_known_bytes() {
        // The check values of both sums.
        assert_eq!(crc32c(b"123456789"), base64(&0xE306_9283_u32.to_be_bytes()));
        assert_eq!(crc32c(b""), "AAAAAA==");
        assert_eq!(md5(b""), "1B2M2Y8AsgTpgAmY7PhCfg==");
    }

    #[test]
    fn names_in_paths() {
        assert_eq!(encode("zk/a b.json"), "zk%2Fa%20b.json");
    }
}
