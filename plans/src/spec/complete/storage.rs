//! Where members keep their data.

use super::{Context, quantity};
use crate::spec::quantity::disk_gb;
use crate::spec::{Retention, Storage, Volume, file};

const BASE: &str = "spec.exhibitor.storage";
/// The image of the tutorial. Its ZooKeeper, 3.4.6, looks each member's name up once: a member that comes back with another
/// address is never found again (ZOOKEEPER-1506, mended in 3.4.7).
const OLD_IMAGE: &str = "mbabineau/zookeeper-exhibitor";
/// The most GB of a Google persistent disk.
const LARGEST: u32 = 65_536;

pub(super) fn complete(given: Option<file::Storage>, image: &str, context: &mut Context<'_>) -> Storage {
    let Some(given) = given else { return Storage::Ephemeral };
    match given {
        file::Storage { ephemeral: Some(_), persistent: Some(_) } => context.error(
            &format!("{BASE}.persistent"),
            "several-storages",
            "`persistent` cannot stand beside `ephemeral`".to_owned(),
            "Members keep their data in one place.",
            "remove `ephemeral` or `persistent`".to_owned(),
        ),
        file::Storage { ephemeral: None, persistent: None }
            if !context.places.has(&format!("{BASE}.persistent")) =>
        {
            context.error(
                BASE,
                "no-storage",
                "`storage` names no kind".to_owned(),
                "It is one of `ephemeral` and `persistent`.",
                "write `persistent: {}` below it, or remove `storage`: members then keep their data in their pods"
                    .to_owned(),
            );
        }
        file::Storage { ephemeral: Some(_) | None, persistent: None } => {}
        file::Storage { ephemeral: None, persistent: Some(persistent) } => {
            return Storage::Persistent(volume(persistent, image, context));
        }
    }
    Storage::Ephemeral
}

fn volume(given: file::Persistent, image: &str, context: &mut Context<'_>) -> Volume {
    let size_gb = quantity(given.size, disk_gb, 10);
    if !(1..=LARGEST).contains(&size_gb) {
        context.error(
            &format!("{BASE}.persistent.size"),
            "disk-size",
            format!("a volume of {size_gb} GB is out of range"),
            &format!("Volumes are made from 1 GB to {LARGEST} GB."),
            "write `10GB`, or another size in the range".to_owned(),
        );
    }
    if image.contains(OLD_IMAGE) {
        let place = if context.places.has("spec.exhibitor.image") { "spec.exhibitor.image" } else { BASE };
        context.error(
            place,
            "image-without-names",
            format!("members with volumes cannot run the image {OLD_IMAGE}"),
            "Its ZooKeeper, 3.4.6, looks a member's name up once and never finds one that comes back with another address.",
            "name an image with ZooKeeper 3.4.7 or later in `image`; `images/exhibitor` builds one".to_owned(),
        );
    }
    Volume { size_gb, class: given.class, retention: given.retention.unwrap_or(Retention::Keep) }
}
