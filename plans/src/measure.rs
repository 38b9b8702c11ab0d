//! What is measured of an ensemble before and after a step that restarts members, and what of it must not go back.

use crate::observed::EnsembleState;
use crate::roll;
use crate::zookeeper::Zxid;
use serde::{Deserialize, Serialize};

/// The znode that is written before such a step and read on every member after it.
pub const CANARY: &str = "/zkprov";

/// One measurement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Measure {
    /// Znodes, as the member that knows most of them counts.
    pub znodes: u64,
    /// The last transaction of the quorum.
    pub zxid: Zxid,
    /// What each member reads at [`CANARY`], by address; before the step who wrote it alone. Empty when the file does without.
    pub canary: Vec<(String, String)>,
}

impl Measure {
    /// Counts of an ensemble, from its members' own `srvr`.
    #[must_use]
    pub fn of(state: &EnsembleState, canary: Vec<(String, String)>) -> Self {
        let voters = state.members.iter().filter(|member| member.id.is_some());
        let counted = voters.filter_map(|member| Some(member.zookeeper.as_ref()?.nodes));
        Self { znodes: counted.max().unwrap_or(0), zxid: roll::last_known(state), canary }
    }

    /// What the ensemble has lost since, in one line: an older last transaction, or a member that does not read what was written
    /// before the step. `None` when nothing is lost.
    #[must_use]
    pub fn lost(&self, after: &Self) -> Option<String> {
        if after.zxid < self.zxid {
            return Some(format!("the last transaction is {}, and was {} before", after.zxid, self.zxid));
        }
        let (_, written) = self.canary.first()?;
        let (host, read) = after.canary.iter().find(|(_, read)| read != written)?;
        let read = if read.is_empty() { "nothing".to_owned() } else { format!("`{read}`") };
        Some(format!("{host} reads {read} at {CANARY}, and `{written}` was written before"))
    }

    /// Before and after in one line: `znodes 12 -> 15, zxid 0x100000007 -> 0x200000003, /zkprov read on 3 members`.
    #[must_use]
    pub fn words(&self, after: &Self) -> String {
        let counts =
            format!("znodes {} -> {}, zxid {} -> {}", self.znodes, after.znodes, self.zxid, after.zxid);
        match after.canary.len() {
            0 => counts,
            1 => format!("{counts}, {CANARY} read on 1 member"),
            members => format!("{counts}, {CANARY} read on {members} members"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(zxid: &str, canary: &[(&str, &str)]) -> Measure {
        let canary = canary.iter().map(|(host, read)| ((*host).to_owned(), (*read).to_owned())).collect();
        Measure { znodes: 7, zxid: zxid.parse().unwrap(), canary }
    }

    #[test]
    fn what_goes_back_is_lost() {
        let before = measure("0x100000007", &[("a", "run/1")]);
        let same = measure("0x200000000", &[("a", "run/1"), ("b", "run/1")]);
        assert_eq!(before.lost(&same), None);
        assert_eq!(
            before.words(&same),
            "znodes 7 -> 7, zxid 0x100000007 -> 0x200000000, /zkprov read on 2 members"
        );
        let behind = measure("0x200000000", &[("a", "run/1"), ("b", "run/0")]);
        assert!(before.lost(&behind).unwrap().contains("b reads `run/0`"));
        let empty = measure("0x200000000", &[("a", ""), ("b", "run/1")]);
        assert!(before.lost(&empty).unwrap().contains("a reads nothing"));
        let older = measure("0x100000006", &[("a", "run/1")]);
        assert!(before.lost(&older).unwrap().contains("0x100000006"));
        assert_eq!(measure("0x7", &[]).lost(&measure("0x9", &[])), None);
    }
}
