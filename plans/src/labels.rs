//! Which labels of a Google resource the file put there. Labels of others stay on it, and its API does not say whose a label is: so
//! the resource carries a short mark of each key, and a key that the file no longer has can be told from another's.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Begins the keys of the labels that hold the marks.
const RECORD: &str = "zkprov-labels-";
/// Letters of a mark, and how many marks fit into a value of at most 63.
const MARK: usize = 4;
const MARKS: usize = 15;

fn mark(key: &str) -> String {
    let mut mark = hex::encode(Sha256::digest(key));
    mark.truncate(MARK);
    mark
}

/// The labels that record these keys, in their order; none for no keys.
#[must_use]
pub fn record<'a>(keys: impl IntoIterator<Item = &'a str>) -> Vec<(String, String)> {
    let marks: Vec<String> = keys.into_iter().map(mark).collect();
    let values = marks.chunks(MARKS).map(<[String]>::concat);
    values.zip(1..).map(|(value, number)| (format!("{RECORD}{number}"), value)).collect()
}

/// The live labels that the file put there before and is without now, records among them.
#[must_use]
pub fn dropped<'a>(live: &'a Map<String, Value>, wanted: &Map<String, Value>) -> Vec<(&'a str, &'a Value)> {
    let records = live.iter().filter(|(key, _)| key.starts_with(RECORD));
    let records =
        records.filter_map(|(_, value)| value.as_str()).flat_map(|value| value.as_bytes().chunks(MARK));
    let marks: Vec<&[u8]> = records.collect();
    let was_ours = |key: &str| key.starts_with(RECORD) || marks.contains(&mark(key).as_bytes());
    let gone = live.iter().filter(|(key, _)| !wanted.contains_key(*key) && was_ours(key));
    gone.map(|(key, value)| (key.as_str(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::{dropped, record};
    use serde_json::{Map, Value};

    fn labels(keys: &[&str]) -> Map<String, Value> {
        let own = keys.iter().map(|key| ((*key).to_owned(), "v".to_owned()));
        own.chain(record(keys.iter().copied())).map(|(key, value)| (key, value.into())).collect()
    }

    fn keys<'a>(dropped: &[(&'a str, &'a Value)]) -> Vec<&'a str> {
        dropped.iter().map(|(key, _)| *key).collect()
    }

    #[test]
    fn what_the_file_no_longer_has_is_dropped_and_what_others_put_there_stays() {
        let mut live = labels(&["env", "team"]);
        live.insert("cost-center".to_owned(), "4711".into());
        assert!(dropped(&live, &labels(&["env", "team"])).is_empty());
        assert_eq!(keys(&dropped(&live, &labels(&["env"]))), ["team"]);
        assert_eq!(keys(&dropped(&live, &labels(&[]))), ["env", "team", "zkprov-labels-1"]);
    }

    #[test]
    fn nothing_is_dropped_where_nothing_is_recorded() {
        let live = Map::from_iter([("team".to_owned(), Value::from("search"))]);
        assert!(dropped(&live, &labels(&["env"])).is_empty());
    }

    #[test]
    fn as_many_as_a_file_may_have_fit() {
        let all: Vec<String> = (0..56).map(|number| format!("label-{number}")).collect();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let live = labels(&all);
        assert_eq!(live.len(), 60);
        assert!(live.values().all(|value| value.as_str().is_some_and(|value| value.len() <= 63)));
        assert_eq!(keys(&dropped(&live, &labels(&all[..55]))), ["label-55"]);
    }
}
