//! Access control lists: who may do what to a znode.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

/// The permissions, as bits.
pub(super) const READ: u32 = 1;
pub(super) const WRITE: u32 = 2;
pub(super) const CREATE: u32 = 4;
pub(super) const DELETE: u32 = 8;
pub(super) const ADMIN: u32 = 16;
const ALL: u32 = 31;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Acl {
    /// Bits: 1 read, 2 write, 4 create, 8 delete, 16 admin.
    pub perms: u32,
    /// `world`, `digest` or `ip`.
    pub scheme: String,
    /// `anyone`, `USER:DIGEST`, or an address.
    pub id: String,
}

/// Who a client has shown to be: scheme and id.
pub(super) type Identity = (String, String);

/// Anyone may do anything.
pub(crate) fn open() -> Vec<Acl> {
    vec![Acl { perms: ALL, scheme: "world".to_owned(), id: "anyone".to_owned() }]
}

/// The identity that `USER:PASSWORD` proves.
pub(super) fn digest(credentials: &str) -> Identity {
    let user = credentials.split(':').next().unwrap_or_default();
    let hash = STANDARD.encode(Sha1::digest(credentials.as_bytes()));
    ("digest".to_owned(), format!("{user}:{hash}"))
}

/// Whether one of these identities has one of the permissions.
pub(super) fn allows(list: &[Acl], perms: u32, who: &[Identity]) -> bool {
    list.is_empty()
        || list.iter().filter(|entry| entry.perms & perms != 0).any(|entry| {
            let anyone = entry.scheme == "world" && entry.id == "anyone";
            anyone || who.iter().any(|(scheme, id)| *scheme == entry.scheme && *id == entry.id)
        })
}

/// The list that a client asks for as it is kept: `auth` stands for who the client is. `None` when it is not valid.
pub(super) fn fixed(asked: &[Acl], who: &[Identity]) -> Option<Vec<Acl>> {
    let mut kept: Vec<Acl> = Vec::new();
    for entry in asked {
        let entries = match entry.scheme.as_str() {
            "world" if entry.id == "anyone" => vec![entry.clone()],
            "auth" => {
                let proven = who.iter().filter(|(scheme, _)| scheme == "digest");
                proven
                    .map(|(scheme, id)| Acl { perms: entry.perms, scheme: scheme.clone(), id: id.clone() })
                    .collect()
            }
            "digest" if entry.id.split(':').count() == 2 => vec![entry.clone()],
            "ip" if entry.id.split('/').next().is_some_and(is_address) => vec![entry.clone()],
            _ => return None,
        };
        if entries.is_empty() {
            return None;
        }
        for entry in entries {
            if !kept.contains(&entry) {
                kept.push(entry);
            }
        }
    }
    (!kept.is_empty()).then_some(kept)
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// The list as it is shown to one who may read it, but not change it: without the digests.
pub(super) fn masked(list: Vec<Acl>) -> Vec<Acl> {
    let mask = |entry: Acl| match entry.id.split_once(':') {
        Some((user, _)) if entry.scheme == "digest" => Acl { id: format!("{user}:x"), ..entry },
        _ => entry,
    };
    list.into_iter().map(mask).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(perms: u32, scheme: &str, id: &str) -> Acl {
        Acl { perms, scheme: scheme.to_owned(), id: id.to_owned() }
    }

    #[test]
    fn digests_are_zookeepers_own() {
        // What ZooKeeper's DigestAuthenticationProvider prints for these credentials.
        let (scheme, id) = digest("super:test");
        assert_eq!((scheme.as_str(), id.as_str()), ("digest", "super:D/InIHSb7yEEbrWz8b9l71RjZJU="));
    }

    #[test]
    fn lists_are_checked_and_fixed() {
        let me = [digest("me:secret")];
        let mine = fixed(&[entry(ALL, "auth", "")], &me).expect("a list");
        assert_eq!(mine, vec![entry(ALL, "digest", &me[0].1)]);
        assert!(allows(&mine, WRITE, &me));
        assert!(!allows(&mine, READ, &[digest("me:other")]));
        assert!(!allows(&[entry(READ, "world", "anyone")], WRITE, &me));
        for bad in
            [entry(1, "auth", ""), entry(1, "world", "me"), entry(1, "sasl", "x"), entry(1, "digest", "x")]
        {
            assert_eq!(fixed(&[bad], &[]), None);
        }
        assert_eq!(fixed(&[], &me), None);
        assert_eq!(masked(mine), vec![entry(ALL, "digest", "me:x")]);
    }
}
