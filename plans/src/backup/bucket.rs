//! Where backups are in Cloud Storage: `gs://BUCKET[/PREFIX]`.

use std::fmt;
use std::str::FromStr;

const SCHEME: &str = "gs://";

/// A bucket, and the folder in it whose subfolders are the backups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketUrl {
    /// The bucket's name.
    pub bucket: String,
    /// The folder, without a slash at its ends; empty for the bucket itself.
    pub prefix: String,
}

/// Why a text is no [`BucketUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not gs://BUCKET[/PREFIX]: {why}")]
pub struct BadBucketUrl {
    text: String,
    why: &'static str,
}

impl BucketUrl {
    /// Whether a text is meant as one, and not as a path.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The name of an object below the prefix.
    #[must_use]
    pub fn object(&self, path: &str) -> String {
        if self.prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", self.prefix) }
    }

    /// The folder that this one is in, and its name there: of a backup, the place of backups and the backup's name.
    /// `None` for a bucket itself.
    #[must_use]
    pub fn split_last(&self) -> Option<(Self, &str)> {
        let (above, name) = self.prefix.rsplit_once('/').unwrap_or(("", &self.prefix));
        (!name.is_empty()).then(|| (Self { bucket: self.bucket.clone(), prefix: above.to_owned() }, name))
    }
}

impl fmt::Display for BucketUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}", self.bucket)?;
        if self.prefix.is_empty() { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

impl FromStr for BucketUrl {
    type Err = BadBucketUrl;

    fn from_str(text: &str) -> Result<Self, BadBucketUrl> {
        let bad = |why| BadBucketUrl { text: text.to_owned(), why };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| bad("it does not begin with gs://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let named = (3..=222).contains(&bucket.len())
            && bucket.chars().all(|c| alphanumeric(c) || matches!(c, '-' | '_' | '.'))
            && bucket.starts_with(alphanumeric)
            && bucket.ends_with(alphanumeric);
        if !named {
            return Err(bad("a bucket's name has 3 or more of a-z, 0-9, `-`, `_` and `.`, \
                and begins and ends with a letter or digit"));
        }
        if prefix.chars().any(char::is_control) {
            return Err(bad("the prefix has a control character"));
        }
        if !prefix.is_empty() && prefix.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(bad("the prefix has an empty part, `.` or `..`"));
        }
        Ok(Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_and_a_folder_in_it() {
        for (text, bucket, prefix, shown) in [
            ("gs://backups", "backups", "", "gs://backups"),
            ("gs://backups/", "backups", "", "gs://backups"),
            (
                "gs://my_b.example.com/zk/prod/",
                "my_b.example.com",
                "zk/prod",
                "gs://my_b.example.com/zk/prod",
            ),
            ("gs://abc/a b", "abc", "a b", "gs://abc/a b"),
        ] {
            let url: BucketUrl = text.parse().unwrap();
            assert_eq!((url.bucket.as_str(), url.prefix.as_str()), (bucket, prefix), "{text}");
            assert_eq!(url.to_string(), shown);
            assert_eq!(shown.parse::<BucketUrl>().unwrap(), url);
        }
    }

    #[test]
    fn what_is_none_says_why() {
        for (text, why) in [
            ("backups", "does not begin with gs://"),
            ("gs://", "a bucket's name"),
            ("gs://ab/x", "a bucket's name"),
            ("gs://Backups", "a bucket's name"),
            ("gs://-backups", "a bucket's name"),
            ("gs://backups//x", "an empty part"),
            ("gs://backups/x//", "an empty part"),
            ("gs://backups/../x", "`..`"),
            ("gs://backups/x\ny", "a control character"),
        ] {
            let error = text.parse::<BucketUrl>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn objects_and_what_they_are_in() {
        let url = |text: &str| text.parse::<BucketUrl>().unwrap();
        assert_eq!(url("gs://backups").object("a/manifest.json"), "a/manifest.json");
        assert_eq!(url("gs://backups/zk").object("a/manifest.json"), "zk/a/manifest.json");
        assert_eq!(url("gs://backups").split_last(), None);
        let (one, two) = (url("gs://backups/a"), url("gs://backups/zk/prod/a"));
        assert_eq!(one.split_last(), Some((url("gs://backups"), "a")));
        assert_eq!(two.split_last(), Some((url("gs://backups/zk/prod"), "a")));
    }
}
