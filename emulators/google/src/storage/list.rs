//! Lists of objects: by name, whole or by folders, page by page.

use super::failure::Failure;
use super::{Bucket, origin};
use crate::api::{Request, percent_decode};
use crate::rest::boolean;
use serde_json::{Value, json};

/// Objects and folders on a page.
const MOST: usize = 1_000;

/// One page. Its token is the last name that was on the page before, with the generation where all versions are listed.
///
/// `includeFoldersAsPrefixes` adds nothing: folders that are no prefixes of objects are in buckets with a hierarchical
/// namespace alone, and there are none.
pub(super) fn page(name: &str, bucket: &Bucket, request: &Request) -> Result<Value, Failure> {
    let text = |parameter: &str| request.query(parameter).unwrap_or_default();
    let (prefix, delimiter) = (text("prefix"), text("delimiter"));
    let after = request.query("pageToken").map(percent_decode);
    let most = match request.query("maxResults") {
        Some(number) => number.parse().map_err(|_| {
            Failure::new(400, "invalidParameter", format!("Invalid value for parameter maxResults: {number}"))
        })?,
        None => MOST,
    };
    let (most, origin) = (most.clamp(1, MOST), origin(request));
    let on = |parameter: &str| boolean(request, parameter) == Ok(Some(true));
    let (versions, trailing) = (on("versions"), on("includeTrailingDelimiter"));
    let (mut items, mut prefixes, mut last) = (Vec::new(), Vec::new(), None);
    for (object, found) in bucket.versions(versions) {
        let Some(rest) = object.strip_prefix(prefix) else { continue };
        // Up to the next delimiter, and with it.
        let folder = match rest.find(delimiter) {
            Some(at) if !delimiter.is_empty() => object.get(..prefix.len() + at + delimiter.len()),
            Some(_) | None => None,
        };
        let key = match folder {
            // No name has a line break, and it sorts before what one can go on with.
            None if versions => format!("{object}\n{:020}", found.generation),
            None => object.clone(),
            Some(folder) => folder.to_owned(),
        };
        if after.as_ref().is_some_and(|after| key <= *after) || last.as_ref() == Some(&key) {
            continue;
        }
        if items.len() + prefixes.len() == most {
            let mut page = rendered(items, prefixes);
            page["nextPageToken"] = json!(last);
            return Ok(page);
        }
        match folder {
            Some(folder) => {
                prefixes.push(json!(folder));
                if trailing && folder == object {
                    items.push(found.render(name, object, &origin));
                }
            }
            None => items.push(found.render(name, object, &origin)),
        }
        last = Some(key);
    }
    Ok(rendered(items, prefixes))
}

fn rendered(items: Vec<Value>, prefixes: Vec<Value>) -> Value {
    let mut page = json!({ "kind": "storage#objects" });
    for (field, values) in [("items", items), ("prefixes", prefixes)] {
        if !values.is_empty() {
            page[field] = Value::Array(values);
        }
    }
    page
}
