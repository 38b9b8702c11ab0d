//! What a list of Compute Engine is asked for: what bears the mark of an ensemble, and what stands under a name that its file
//! uses. A project's other resources, the nodes of its clusters among them, are neither sent nor decoded.

use super::super::scan::List;
use super::job::Kind;
use crate::provider::ReadRequest;
use zkprov_plans::document::{ENSEMBLE_LABEL, OWNER_MARK};

/// For so many ensembles of one list a filter is worth its length, and the address of the request stays below the 8 KiB that
/// proxies let through. For more the whole list is read, most of which is then theirs.
const MOST: usize = 8;

/// The filter of a list for the ensembles that need it, in the grammar of AIP-160, in which `:` finds a part of a text:
/// <https://cloud.google.com/compute/docs/reference/rest/v1/instances/list>. `None` reads everything.
pub(super) fn filter(list: &List, requests: &[&ReadRequest<'_>]) -> Option<String> {
    if requests.len() > MOST {
        return None;
    }
    let marks = requests.iter().flat_map(|request| {
        let ensemble = &request.spec.name;
        // Labels can be taken away by anybody, and two kinds have none.
        let label = has_labels(list).then(|| format!("(labels.{ENSEMBLE_LABEL} = \"{ensemble}\")"));
        label.into_iter().chain([format!("(description : \"{OWNER_MARK}{ensemble}\")")])
    });
    let desired = requests.iter().flat_map(|request| &request.desired.documents);
    let names = desired
        .map(|document| &document.id)
        .filter(|id| List::of(id).as_ref() == Some(list))
        .map(|id| format!("(name = \"{}\")", id.name));
    Some(marks.chain(names).collect::<Vec<String>>().join(" OR "))
}

fn has_labels(list: &List) -> bool {
    match Kind::of(list.kind) {
        Some(Kind::Instance | Kind::Disk | Kind::Address) => true,
        Some(Kind::Firewall | Kind::SnapshotSchedule) | None => false,
    }
}
