//! The data of an ensemble as a synced member has it on its disk.

use crate::error::{ProviderError, ProviderErrorKind};
use crate::provider::{Course, Progress};
use crate::providers::ensemble::{Members, Target};
use crate::providers::zookeeper::ZooKeeper;
use serde_json::Value;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use zkprov_plans::exhibitor::parse_srvr;
use zkprov_plans::observed::{EnsembleState, Mode};
use zkprov_plans::quorum::voters;
use zkprov_plans::zookeeper::archive::Archive;
use zkprov_plans::zookeeper::{File, Loaded, Zxid, load};

/// The directory with ZooKeeper's files below its data and its log directory.
const FILES: &str = "version-2";
/// The most bytes of a member's files that are kept in memory.
const LARGEST: usize = 8 << 30;
/// Deadline of the copy of one directory.
const COPY: Duration = Duration::from_secs(30 * 60);
/// Session of the client that asks the member to catch up.
const SESSION: Duration = Duration::from_secs(10);
/// How often files are read that changed while they were.
const TRIES: u32 = 4;

/// What a member had.
#[derive(Debug, Clone)]
pub struct Taken {
    /// The nodes and the last transaction.
    pub loaded: Loaded,
    /// The pod.
    pub pod: String,
    /// Its role.
    pub role: Mode,
}

/// Who is read, and where its files are.
struct Donor {
    pod: String,
    role: Mode,
    data: String,
    log: String,
}

/// Reads everything that an ensemble has, from a follower if there is one. It is consistent as of its last transaction, which
/// is no older than the last one when this was called.
///
/// # Errors
/// When no member serves, when its files can't be read, or keep changing so that they fit nowhere.
pub async fn take(members: &Members, progress: Progress<'_>) -> Result<Taken, ProviderError> {
    let donor = choose(&members.look().await?)?;
    let least = synced(members, &donor.pod).await?;
    progress(Course::Doing(format!("reading the data of {} as of {least} or later", donor.pod)));
    let mut tried = 1;
    loop {
        let why = match read(members, &donor).await? {
            Ok(loaded) if loaded.zxid >= least => {
                return Ok(Taken { loaded, pod: donor.pod, role: donor.role });
            }
            // What was proposed is written by each member in its own time.
            Ok(loaded) => format!("its files end at {}, before {least}", loaded.zxid),
            Err(why) => why,
        };
        if tried == TRIES {
            let doing = format!("loading the files of {}", donor.pod);
            return Err(ProviderError::new(ProviderErrorKind::Failed, doing, why));
        }
        progress(Course::Doing(format!("reading {} once more: {why}", donor.pod)));
        tokio::time::sleep(Duration::from_millis(500) * tried).await;
        tried += 1;
    }
}

/// A follower, so that the leader has its hands free; else the leader, or the only member.
fn choose(state: &EnsembleState) -> Result<Donor, ProviderError> {
    let refused = |why: &str| {
        ProviderError::new(ProviderErrorKind::Refused, "choosing a member to read", why)
            .hint("`zkprov status` shows the members")
    };
    let alone = voters(state) == 1;
    let place = |mode: Mode| match mode {
        Mode::Follower => Some(0),
        Mode::Leader => Some(1),
        // A standalone server beside an ensemble has other data.
        Mode::Standalone => alone.then_some(2),
        Mode::Observer => None,
    };
    let serving = state.members.iter().filter_map(|member| {
        let (pod, role) = (member.pod.as_ref()?, member.zookeeper.as_ref()?.mode);
        member.id?;
        Some((place(role)?, pod, role))
    });
    let (_, pod, role) = serving
        .min_by_key(|(place, pod, _)| (*place, *pod))
        .ok_or_else(|| refused("no member of the ensemble serves"))?;
    let directory = |key: &str| {
        let text = state.config.as_ref().and_then(|config| config.get(key)).and_then(Value::as_str);
        text.filter(|text| text.starts_with('/')).map(str::to_owned)
    };
    let data = directory("zookeeperDataDirectory")
        .ok_or_else(|| refused("Exhibitor's configuration names no data directory"))?;
    let log = directory("zookeeperLogDirectory").unwrap_or_else(|| data.clone());
    Ok(Donor { pod: pod.clone(), role, data, log })
}

/// Lets the member catch up with the leader, and returns the last transaction that it then has.
async fn synced(members: &Members, pod: &str) -> Result<Zxid, ProviderError> {
    let failed =
        |message: String| ProviderError::new(ProviderErrorKind::Failed, format!("syncing {pod}"), message);
    let gateway = members.gateway(Target::Pod(pod.to_owned())).await?;
    let client = ZooKeeper::connect(gateway.address(), SESSION, &[]).await;
    let client = client.map_err(|error| failed(error.to_string()))?;
    client.sync().await.map_err(|error| failed(error.to_string()))?;
    let answer = members.word(pod, "srvr").await?;
    let zxid = parse_srvr(&answer).map(|srvr| srvr.zxid);
    zxid.ok_or_else(|| failed("ZooKeeper does not serve".to_owned()))
}

/// Copies the files and loads them; the inner error is for another try.
async fn read(members: &Members, donor: &Donor) -> Result<Result<Loaded, String>, ProviderError> {
    // Logs after snapshots: a snapshot holds changes that came while it was written, and the log that has them all is one that
    // was read when it was whole.
    let snapshots = copy(members, &donor.pod, &donor.data).await?;
    let logs = copy(members, &donor.pod, &donor.log).await?;
    let kept = |files: Vec<(String, Vec<u8>)>, prefix: &'static str| {
        files.into_iter().filter(move |(name, _)| name.starts_with(prefix))
    };
    let files: Vec<_> = kept(snapshots, "snapshot.").chain(kept(logs, "log.")).collect();
    let files: Vec<File<'_>> = files.iter().map(|(name, bytes)| File { name, bytes }).collect();
    Ok(load(&files).map_err(|error| error.to_string()))
}

async fn copy(
    members: &Members,
    pod: &str,
    directory: &str,
) -> Result<Vec<(String, Vec<u8>)>, ProviderError> {
    let doing = || format!("copying {directory}/{FILES} of {pod}");
    let mut archive = Receiver(Archive::new(LARGEST));
    let command = ["tar", "-C", directory, "-cf", "-", FILES];
    let exit = members.exec(pod, &command, &mut archive, COPY).await?;
    // 1 is a file that changed while it was read, which logs do, or that was gone: the loader sees what that means.
    if exit.code > 1 {
        exit.success(doing())?;
    }
    let cut = |error: zkprov_plans::zookeeper::archive::BadArchive| {
        ProviderError::new(ProviderErrorKind::Transient, doing(), error.to_string())
    };
    archive.0.finish().map_err(cut)
}

/// Takes what a command writes.
struct Receiver(Archive);

impl AsyncWrite for Receiver {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.0.push(bytes).map(|()| bytes.len()).map_err(std::io::Error::other))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// An ensemble of members with these roles; a `-` before a role is one outside the list.
    fn ensemble(roles: &[&str]) -> EnsembleState {
        let member = |(index, role): (usize, &&str)| {
            let mode = role.trim_start_matches('-');
            let srvr = json!({"mode": mode, "zxid": "0x1", "connections": 0, "nodes": 0, "version": ""});
            json!({
                "hostname": format!("10.0.0.{index}"), "pod": format!("pod-{index}"), "exhibitor": 3,
                "id": if role.starts_with('-') { json!(null) } else { json!(index + 1) },
                "exhibitorLeader": false, "zookeeper": if mode == "down" { json!(null) } else { srvr },
            })
        };
        let members: Vec<Value> = roles.iter().enumerate().map(member).collect();
        let listed = members.iter().filter(|member| !member["id"].is_null());
        let servers: Vec<Value> = listed
            .map(|member| json!({"id": member["id"], "hostname": member["hostname"], "observer": false}))
            .collect();
        serde_json::from_value(json!({
            "pods": [], "members": members, "servers": servers, "rolling": false, "gaps": [],
            "config": {"zookeeperDataDirectory": "/data", "zookeeperLogDirectory": ""},
        }))
        .unwrap()
    }

    fn chosen(roles: &[&str]) -> Result<String, String> {
        choose(&ensemble(roles)).map(|donor| donor.pod).map_err(|error| error.message)
    }

    #[test]
    fn a_follower_is_read_before_the_leader() {
        assert_eq!(chosen(&["leader", "follower", "follower"]), Ok("pod-1".to_owned()));
        assert_eq!(chosen(&["down", "observer", "leader"]), Ok("pod-2".to_owned()));
        assert_eq!(chosen(&["standalone"]), Ok("pod-0".to_owned()));
    }

    #[test]
    fn who_serves_beside_the_ensemble_is_not_read() {
        let none = Err("no member of the ensemble serves".to_owned());
        assert_eq!(chosen(&["down", "standalone", "down"]), none);
        assert_eq!(chosen(&["down", "-standalone"]), none);
        assert_eq!(chosen(&[]), none);
    }

    #[test]
    fn logs_are_beside_the_snapshots_unless_they_have_a_directory_of_their_own() {
        let donor = choose(&ensemble(&["standalone"])).unwrap();
        assert_eq!((donor.data.as_str(), donor.log.as_str()), ("/data", "/data"));
    }
}
