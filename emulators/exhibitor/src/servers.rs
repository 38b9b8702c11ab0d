//! The list of servers: Exhibitor's `serversSpec`.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// One entry of `serversSpec`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Server {
    /// ZooKeeper's `myid`.
    pub id: i64,
    /// Host name or address.
    pub host: String,
    /// An observer has no vote.
    pub observer: bool,
}

impl fmt::Display for Server {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}{}:{}", if self.observer { "O:" } else { "" }, self.id, self.host)
    }
}

/// All servers, in the order of the text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Servers(pub Vec<Server>);

impl Servers {
    /// Parses `1:host,O:2:other`. As in Exhibitor, what does not parse is left out.
    #[must_use]
    pub fn parse(spec: &str) -> Self {
        Self(spec.split(',').filter_map(|item| parse_one(item.trim())).collect())
    }

    /// The entry of a host.
    #[must_use]
    pub fn of(&self, host: &str) -> Option<&Server> {
        self.0.iter().find(|server| server.host == host)
    }

    /// Entries with a vote.
    pub fn voters(&self) -> impl Iterator<Item = &Server> {
        self.0.iter().filter(|server| !server.observer)
    }

    /// The highest id, 0 when there is none.
    #[must_use]
    pub fn max_id(&self) -> i64 {
        self.0.iter().map(|server| server.id).max().unwrap_or(0).max(0)
    }

    /// Whether both hold the same entries; order is of no matter to Exhibitor.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let set = |servers: &Self| servers.0.iter().cloned().collect::<BTreeSet<_>>();
        set(self) == set(other)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, server) in self.0.iter().enumerate() {
            write!(formatter, "{}{server}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

fn parse_one(item: &str) -> Option<Server> {
    let parts: Vec<&str> = item.split(':').map(str::trim).collect();
    let (code, id, host) = match parts.as_slice() {
        [id, host] => ("S", id, host),
        [code, id, host] => (*code, id, host),
        _ => return None,
    };
    let id = id.parse::<i32>().ok()?;
    Some(Server { id: i64::from(id), host: (*host).to_owned(), observer: code.eq_ignore_ascii_case("O") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parses_as_exhibitor_does() {
        let servers = Servers::parse("1:a, O:2:b ,x:c,3:d:e:f,,S:4:g");
        assert_eq!(servers.to_string(), "1:a,O:2:b,4:g");
        assert_eq!(servers.voters().count(), 2);
        assert_eq!(servers.max_id(), 4);
        assert!(servers.same(&Servers::parse("4:g,1:a,O:2:b")));
    }
}
