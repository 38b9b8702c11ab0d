//! What a string must look like on its own, by the name that its schema's `format` gives: one rule for the editor's
//! schema and for [`load`](super::load).

use super::{backup_formats, quantity};
use std::net::Ipv4Addr;

/// Why a value is refused, without its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub code: &'static str,
    pub message: String,
    pub reason: String,
    pub fix: String,
}

type Verdict = Result<(), Problem>;

/// Name, pattern for editors where one says it all, and the rule.
type Format = (&'static str, Option<&'static str>, fn(&str) -> Verdict);

const FORMATS: &[Format] = &[
    ("backup-place", Some("^(fileServer|gs://[^/]+(/.+)?)$"), backup_formats::place),
    ("boot-image", Some("^projects/[^/]+/global/images/(family/)?[a-z0-9-]+$"), boot_image),
    ("cidr", Some(r"^\d+\.\d+\.\d+\.\d+/\d+$"), cidr),
    ("cluster-name", Some("^[a-z]([a-z0-9-]{0,38}[a-z0-9])?$"), |text| {
        rfc1035(text, 40, "a GKE cluster name")
    }),
    ("container-image", None, container_image),
    ("cpu", Some("^[0-9]+m$"), |text| quantity::cpu_millis(text).map(drop)),
    ("cron", None, super::cron::check),
    ("disk-size", Some("^[0-9]+(GB|GiB|TB|TiB)$"), |text| quantity::disk_gb(text).map(drop)),
    ("duration", Some("^[0-9]+(ms|s|m|h|d)$"), |text| quantity::duration_ms(text).map(drop)),
    ("ensemble-name", Some("^[a-z]([a-z0-9-]{0,48}[a-z0-9])?$"), |text| rfc1035(text, 50, "a name")),
    ("gke-version", Some(r"^1\.\d+(\.\d+(-gke\.\d+)?)?$"), gke_version),
    (
        "google-service-account",
        Some(r"^[^@ ]+@[^@ ]+\.gserviceaccount\.com$"),
        backup_formats::google_service_account,
    ),
    ("heap", Some("^[0-9]+(MiB|GiB)$"), |text| quantity::heap_mib(text).map(drop)),
    ("host", None, host),
    ("hour", Some("^([01][0-9]|2[0-3]):00$"), hour),
    ("jvm-options", None, super::jvm_options::check),
    ("kube-label-key", None, kube_label_key),
    ("kube-label-value", None, kube_label_value),
    ("label-key", Some("^[a-z]([a-z0-9_-]{0,61}[a-z0-9])?$"), label_key),
    ("label-value", Some("^([a-z0-9]([a-z0-9_-]{0,61}[a-z0-9])?)?$"), label_value),
    ("line", None, line),
    ("location", None, location),
    ("machine-type", Some("^[a-z][a-z0-9]*(-[a-z0-9]+)+$"), machine_type),
    ("memory", Some("^[0-9]+(Mi|Gi|Ti|M|G|T)$"), |text| quantity::memory_bytes(text).map(drop)),
    ("namespace", Some("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"), namespace),
    ("network", None, |text| network(text, "networks")),
    ("path", Some("^/"), path),
    ("project", Some("^([a-z0-9-]+([.][a-z0-9-]+)+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]$"), project),
    ("resource-name", Some("^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$"), |text| rfc1035(text, 63, "a resource name")),
    ("share-name", Some("^[A-Za-z][A-Za-z0-9_]{0,15}$"), share_name),
    ("source-range", Some(r"^\d+\.\d+\.\d+\.\d+/[1-9]\d*$"), source_range),
    ("storage-class", None, storage_class),
    ("subnetwork", None, |text| network(text, "subnetworks")),
    ("time-zone", Some("^[A-Za-z][A-Za-z0-9_+/-]*$"), backup_formats::time_zone),
    ("zone", Some("^[a-z]+-[a-z]+[0-9]+-([a-z]|ai[0-9]+[a-z])$"), zone),
    ("zoo-cfg-key", None, zoo_cfg_key),
];

/// The regular expression of a format, for editors.
pub(super) fn pattern(name: &str) -> Option<&'static str> {
    find(name).and_then(|(_, pattern, _)| *pattern)
}

/// Whether the text keeps to the format; a name that is none of ours is no rule.
pub(super) fn check(name: &str, text: &str) -> Verdict {
    find(name).map_or(Ok(()), |(_, _, rule)| rule(text))
}

/// Whether a bare number is likely meant for this format, so that the unit is what is missing.
pub(super) fn is_quantity(name: &str) -> bool {
    matches!(name, "cpu" | "disk-size" | "duration" | "heap" | "memory")
}

pub(super) fn find(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|(known, _, _)| *known == name)
}

pub(super) fn refuse(code: &'static str, message: String, reason: &str, fix: String) -> Verdict {
    Err(Problem { code, message, reason: reason.to_owned(), fix })
}

/// Lower-case letters, digits and hyphens, with a letter first and no hyphen last.
fn is_rfc1035(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase()) && is_rfc1123(text)
}

fn is_rfc1123(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The nearest valid name, or `otherwise` when nothing is left of the text.
fn mended(text: &str, longest: usize, otherwise: &str) -> String {
    let lower = text.to_ascii_lowercase();
    let replaced: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let start = replaced.trim_start_matches(|c: char| !c.is_ascii_lowercase());
    let cut: String = start.chars().take(longest).collect();
    let name = cut.trim_end_matches('-');
    if name.is_empty() { otherwise.to_owned() } else { name.to_owned() }
}

fn rfc1035(text: &str, longest: usize, what: &str) -> Verdict {
    if text.chars().count() > longest {
        return refuse(
            "invalid-name",
            format!("{what} has at most {longest} characters, this one {}", text.chars().count()),
            match longest {
                40 => "GKE takes no longer one.",
                50 => "Names of other resources begin with it, and Google Cloud's end at 63 characters.",
                _ => "Google Cloud's names end at 63 characters.",
            },
            format!("shorten it, such as `{}`", mended(text, longest, "exhibitor")),
        );
    }
    if is_rfc1035(text) {
        return Ok(());
    }
    refuse(
        "invalid-name",
        format!("`{text}` is not {what}"),
        "Lower-case letters, digits and hyphens; a letter first, no hyphen last (RFC 1035).",
        format!("write `{}`", mended(text, longest, "exhibitor")),
    )
}

fn namespace(text: &str) -> Verdict {
    if text.len() <= 63 && is_rfc1123(text) {
        return Ok(());
    }
    refuse(
        "invalid-name",
        format!("`{text}` is not a Kubernetes namespace"),
        "Lower-case letters, digits and hyphens, at most 63, no hyphen at either end (RFC 1123).",
        format!("write `{}`", mended(text, 63, "default")),
    )
}

fn storage_class(text: &str) -> Verdict {
    if text.len() <= 253 && text.split('.').all(is_rfc1123) {
        return Ok(());
    }
    refuse(
        "invalid-name",
        format!("`{text}` is not the name of a storage class"),
        "Lower-case letters, digits, hyphens and dots (RFC 1123).",
        "list the cluster's classes: `kubectl get storageclass`; without `class` its default is taken"
            .to_owned(),
    )
}

fn share_name(text: &str) -> Verdict {
    let right = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.len() <= 16
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if right {
        return Ok(());
    }
    refuse(
        "invalid-name",
        format!("`{text}` is not a Filestore share name"),
        "Letters, digits and underscores, a letter first, at most 16.",
        format!("write `{}`", mended(text, 16, "data").replace('-', "_")),
    )
}

fn project(text: &str) -> Verdict {
    let (domain, id) = text.split_once(':').map_or((None, text), |(domain, id)| (Some(domain), id));
    let domain_right = domain.is_none_or(|domain| domain.contains('.') && domain.split('.').all(is_rfc1123));
    if (6..=30).contains(&id.len()) && is_rfc1035(id) && domain_right {
        return Ok(());
    }
    let number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let fix = if number {
        format!("find the id of project number {text}: `gcloud projects describe {text}`")
    } else {
        "list your project ids: `gcloud projects list`".to_owned()
    };
    refuse(
        "invalid-project",
        format!("`{text}` is not a project id"),
        "A project id has 6 to 30 lower-case letters, digits and hyphens, a letter first; an old one may stand behind \
         its domain, as in `example.com:my-project`.",
        fix,
    )
}

/// `us-east1`: letters, a hyphen, letters and a number.
fn is_region(text: &str) -> bool {
    text.split_once('-').is_some_and(|(continent, area)| {
        let letters = area.trim_end_matches(|c: char| c.is_ascii_digit());
        let is_letters = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        is_letters(continent) && is_letters(letters) && letters.len() < area.len()
    })
}

fn is_zone(text: &str) -> bool {
    text.rsplit_once('-').is_some_and(|(region, zone)| {
        let ai = zone.strip_prefix("ai").and_then(|rest| rest.strip_suffix(|c: char| c.is_ascii_lowercase()));
        let letter = zone.len() == 1 && zone.bytes().all(|byte| byte.is_ascii_lowercase());
        let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        is_region(region) && (letter || ai.is_some_and(number))
    })
}

fn zone(text: &str) -> Verdict {
    if is_zone(text) {
        return Ok(());
    }
    let reason =
        "A zone is a region and a letter, such as `us-east1-d`; file server and cluster share one zone.";
    if is_region(text) {
        return refuse(
            "invalid-zone",
            format!("`{text}` is a region, not a zone"),
            reason,
            format!(
                "add the zone's letter, such as `{text}-b`: `gcloud compute zones list --filter=region:{text}`"
            ),
        );
    }
    let lower = text.to_ascii_lowercase();
    let fix = if is_zone(&lower) {
        format!("write `{lower}`")
    } else {
        "list the zones: `gcloud compute zones list`".to_owned()
    };
    refuse("invalid-zone", format!("`{text}` is not a zone"), reason, fix)
}

fn location(text: &str) -> Verdict {
    if is_region(text) { Ok(()) } else { zone(text) }
}

fn machine_type(text: &str) -> Verdict {
    let mut parts = text.split('-');
    let family = parts.next().is_some_and(|family| family.starts_with(|c: char| c.is_ascii_lowercase()));
    let rest: Vec<&str> = parts.collect();
    let word =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if family && is_rfc1035(text) && !rest.is_empty() && rest.iter().all(|part| word(part)) {
        return Ok(());
    }
    refuse(
        "invalid-machine-type",
        format!("`{text}` is not a machine type"),
        "A machine type is a family, a kind and a size in lower case, such as `n1-standard-1` or `e2-medium`.",
        "list them: `gcloud compute machine-types list --zones ZONE`".to_owned(),
    )
}

fn boot_image(text: &str) -> Verdict {
    let parts: Vec<&str> = text.split('/').collect();
    let right = match parts.as_slice() {
        ["projects", owner, "global", "images", "family", name]
        | ["projects", owner, "global", "images", name] => project(owner).is_ok() && is_rfc1035(name),
        _ => false,
    };
    if right {
        return Ok(());
    }
    refuse(
        "invalid-image",
        format!("`{text}` is not a boot image"),
        "An image is named by its path, so that nobody has to guess the project.",
        "write `projects/P/global/images/NAME`, or `projects/P/global/images/family/NAME` for a family's newest"
            .to_owned(),
    )
}

fn container_image(text: &str) -> Verdict {
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | ':' | '@');
    let name = text.split('@').next().unwrap_or_default();
    let repository =
        name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(path, _)| path);
    let lower = repository.split('/').skip(1).all(|part| !part.bytes().any(|byte| byte.is_ascii_uppercase()));
    let edges = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.ends_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
    if edges && lower && text.chars().all(known) && !text.contains("//") {
        return Ok(());
    }
    refuse(
        "invalid-image",
        format!("`{text}` is not a container image"),
        "An image is `[REGISTRY/]NAME[:TAG][@DIGEST]`, its name in lower case.",
        "write it like `mbabineau/zookeeper-exhibitor:latest`".to_owned(),
    )
}

fn gke_version(text: &str) -> Verdict {
    let (version, build) =
        text.split_once("-gke.").map_or((text, None), |(version, build)| (version, Some(build)));
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = version.split('.').collect();
    let right = parts.first() == Some(&"1")
        && (2..=3).contains(&parts.len())
        && parts.iter().all(|part| number(part))
        && build.is_none_or(|build| number(build) && parts.len() == 3);
    if right {
        return Ok(());
    }
    refuse(
        "invalid-version",
        format!("`{text}` is not a GKE version"),
        "A fixed version is a minor version (`1.33`) or a full one (`1.33.5-gke.100`); `latest` would change under you.",
        "list them: `gcloud container get-server-config --zone ZONE`".to_owned(),
    )
}

fn network(text: &str, collection: &str) -> Verdict {
    let parts: Vec<&str> = text.split('/').collect();
    let right = match parts.as_slice() {
        [name] => is_rfc1035(name) && name.len() <= 63,
        ["projects", owner, "global", "networks", name] if collection == "networks" => {
            project(owner).is_ok() && is_rfc1035(name)
        }
        ["projects", owner, "regions", region, "subnetworks", name] if collection == "subnetworks" => {
            project(owner).is_ok() && is_region(region) && is_rfc1035(name)
        }
        _ => false,
    };
    if right {
        return Ok(());
    }
    let (one, place) =
        if collection == "networks" { ("network", "global") } else { ("subnetwork", "regions/REGION") };
    refuse(
        "invalid-network",
        format!("`{text}` is not a {one}"),
        "A network is a short name, or a path when it belongs to another project.",
        format!("write `NAME` or `projects/P/{place}/{collection}/NAME`"),
    )
}

fn cidr(text: &str) -> Verdict {
    let reason = "Ranges are IPv4 in CIDR form.";
    let Some((address, length)) = text.split_once('/') else {
        let fix = match text.parse::<Ipv4Addr>() {
            Ok(_) => format!("write `{text}/32` for this one address"),
            Err(_) => "write a range such as `10.0.0.0/8`".to_owned(),
        };
        return refuse("invalid-cidr", format!("`{text}` is not a CIDR range"), reason, fix);
    };
    let length = length.parse::<u32>().ok().filter(|length| *length <= 32 && !text.contains('+'));
    let (Ok(address), Some(length)) = (address.parse::<Ipv4Addr>(), length) else {
        let message = if address.contains(':') {
            format!("`{text}` is IPv6")
        } else {
            format!("`{text}` is not a CIDR range")
        };
        return refuse("invalid-cidr", message, reason, "write a range such as `10.0.0.0/8`".to_owned());
    };
    let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
    let network = Ipv4Addr::from(u32::from(address) & mask);
    if network == address {
        return Ok(());
    }
    refuse(
        "invalid-cidr",
        format!("`{text}` has host bits set"),
        "The bits behind the prefix must be zero; the firewall would refuse the range.",
        format!("write `{network}/{length}`, or `{address}/32` for the one address"),
    )
}

/// Addresses that may use the file server: some, never all.
fn source_range(text: &str) -> Verdict {
    cidr(text)?;
    if !text.ends_with("/0") {
        return Ok(());
    }
    refuse(
        "open-to-everyone",
        format!("`{text}` opens the file server to every address"),
        "Neither its NFS nor its SMB asks for a password.",
        "name the ranges that need it".to_owned(),
    )
}

fn path(text: &str) -> Verdict {
    let fix = |path: &str| format!("write an absolute path such as `{path}`");
    if text.chars().any(|c| c.is_control() || c == '\\') {
        return refuse(
            "invalid-path",
            "a path has no backslash and no line break".to_owned(),
            "It stands in /etc/exports, in smb.conf and in mount options.",
            fix("/data"),
        );
    }
    if !text.starts_with('/') {
        let mended = format!("/{}", text.trim_start_matches(['.', '/', '~']));
        return refuse(
            "invalid-path",
            format!("`{text}` is a relative path"),
            "The server exports it and pods mount it: neither has a working directory.",
            fix(if mended == "/" { "/data" } else { &mended }),
        );
    }
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let parts_right = text.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    if parts_right && text.chars().all(known) {
        return Ok(());
    }
    refuse(
        "invalid-path",
        format!("`{text}` is not a path zkprov can export"),
        "Letters, digits, `.`, `_` and `-` between single slashes; no `.` or `..`, no slash at the end.",
        fix("/data"),
    )
}

fn host(text: &str) -> Verdict {
    let name = text.len() <= 253
        && text.to_ascii_lowercase().split('.').all(|part| is_rfc1123(part) && part.len() <= 63);
    if name {
        return Ok(());
    }
    refuse(
        "invalid-host",
        format!("`{text}` is not a host name or IPv4 address"),
        "Pods mount `SERVER:PATH`; path and port do not belong into the server.",
        "write it like `nfs.example.com` or `10.0.0.5`".to_owned(),
    )
}

fn hour(text: &str) -> Verdict {
    let hours = text.split_once(':').map_or("", |(hours, _)| hours);
    let value = hours.parse::<u32>().ok().filter(|hours| *hours < 24);
    if value.is_some_and(|hours| text == format!("{hours:02}:00")) {
        return Ok(());
    }
    refuse(
        "invalid-time",
        format!("`{text}` is not a full hour"),
        "Snapshot windows begin on the hour, in UTC, from `00:00` to `23:00`.",
        format!("write `\"{:02}:00\"`", value.unwrap_or(4)),
    )
}

fn line(text: &str) -> Verdict {
    if !text.is_empty() && !text.chars().any(|c| c.is_control() || c == '\\') {
        return Ok(());
    }
    refuse(
        "invalid-text",
        "the value must be one line without backslashes or control characters".to_owned(),
        "It is copied into a file of lines.",
        "write it on one line".to_owned(),
    )
}

/// ZooKeeper's settings that the ensemble's formation decides: another value would break quorum or lose the data.
const RESERVED: [&str; 9] = [
    "clientPort",
    "clientPortAddress",
    "dataDir",
    "dataLogDir",
    "dynamicConfigFile",
    "peerType",
    "reconfigEnabled",
    "secureClientPort",
    "standaloneEnabled",
];

fn zoo_cfg_key(text: &str) -> Verdict {
    let numbered = ["server.", "group.", "weight."].iter().any(|prefix| text.starts_with(prefix));
    if numbered || RESERVED.contains(&text) {
        let fix = match text {
            "clientPort" => "set `spec.exhibitor.clientPort` instead".to_owned(),
            _ => format!("remove `{text}`"),
        };
        return refuse(
            "reserved-zoo-cfg",
            format!("`{text}` is not yours to set"),
            "zkprov and Exhibitor write the members, ports and directories of zoo.cfg.",
            fix,
        );
    }
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !text.is_empty() && text.chars().all(known) {
        return Ok(());
    }
    refuse(
        "invalid-zoo-cfg",
        format!("`{text}` is not a zoo.cfg key"),
        "Keys have letters, digits, `.`, `_` and `-`.",
        "write it like `tickTime`".to_owned(),
    )
}

fn google_label(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-');
    text.len() <= 63 && text.bytes().all(known) && text.ends_with(|c: char| c.is_ascii_alphanumeric())
}

fn label_key(text: &str) -> Verdict {
    if text.starts_with("zkprov") || text.starts_with("goog-") {
        return refuse(
            "invalid-label",
            format!("`{text}` is reserved"),
            "Labels that begin with `zkprov` say what zkprov owns; `goog-` belongs to Google.",
            "choose another key".to_owned(),
        );
    }
    if google_label(text) && text.starts_with(|c: char| c.is_ascii_lowercase()) {
        return Ok(());
    }
    refuse(
        "invalid-label",
        format!("`{text}` is not a label key"),
        "Google Cloud takes lower-case letters, digits, `_` and `-`, at most 63, a letter first; Kubernetes wants a \
         letter or digit last.",
        format!("write `{}`", mended(text, 63, "team")),
    )
}

fn label_value(text: &str) -> Verdict {
    if text.is_empty() || (google_label(text) && text.starts_with(|c: char| c.is_ascii_alphanumeric())) {
        return Ok(());
    }
    refuse(
        "invalid-label",
        format!("`{text}` is not a label value"),
        "Google Cloud takes lower-case letters, digits, `_` and `-`, at most 63; Kubernetes wants a letter or digit at \
         both ends.",
        format!("write `{}`", mended(text, 63, "infra")),
    )
}

fn kube_label_name(text: &str) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let edge = |c: char| c.is_ascii_alphanumeric();
    (1..=63).contains(&text.len())
        && text.bytes().all(known)
        && text.starts_with(edge)
        && text.ends_with(edge)
}

fn kube_label_key(text: &str) -> Verdict {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let prefix_right = prefix.is_none_or(|prefix| prefix.len() <= 253 && prefix.split('.').all(is_rfc1123));
    if prefix_right && kube_label_name(name) {
        return Ok(());
    }
    refuse(
        "invalid-label",
        format!("`{text}` is not a Kubernetes label key"),
        "A key is `[DNS-PREFIX/]NAME`; the name has at most 63 letters, digits, `_`, `-` and `.`.",
        "write it like `app` or `app.kubernetes.io/name`".to_owned(),
    )
}

fn kube_label_value(text: &str) -> Verdict {
    if text.is_empty() || kube_label_name(text) {
        return Ok(());
    }
    refuse(
        "invalid-label",
        format!("`{text}` is not a Kubernetes label value"),
        "At most 63 letters, digits, `_`, `-` and `.`, a letter or digit at both ends.",
        "write it like `frontend`".to_owned(),
    )
}

#[cfg(test)]
#[path = "formats_tests.rs"]
mod tests;
