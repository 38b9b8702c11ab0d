//! The world of a directory that nobody needs to serve for it.

use super::store::{self, Directory, News, StoreError, wall};
use crate::archive::{Archive, Part, Row};
use crate::world::World;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The world kept in a directory, all of it; time stands still.
///
/// # Errors
/// When there is no readable sandbox.
pub fn read(directory: &Path) -> Result<World, StoreError> {
    let unreadable = |problem| StoreError::Unreadable { path: directory.to_owned(), problem };
    let rows = store::peek(directory)?;
    let mut parts: BTreeMap<Part, Vec<Row>> = BTreeMap::new();
    for (part, row) in &rows {
        parts.entry(part.clone()).or_default().push(row.clone());
    }
    let archive = Archive::new(move |part| Ok(parts.get(part).cloned().unwrap_or_default()));
    let mut world = World::assemble(&rows, Some(archive)).map_err(unreadable)?;
    world.load_all().map_err(unreadable)?;
    world.residence = Default::default();
    Ok(world)
}

/// Puts a world in the place of the one that is kept in a directory.
///
/// # Errors
/// When it can't be written.
pub fn write(directory: &Path, world: World) -> Result<(), StoreError> {
    let mut directory = Directory::open(directory)?;
    let _turn = directory.lock()?;
    match directory.news()? {
        News::Empty => directory.create()?,
        News::None | News::Changed(..) | News::Anew(..) => directory.renew()?,
    }
    let mut world = world;
    world.settle_in(None);
    let problem = |error: serde_json::Error| StoreError::Unreadable {
        path: directory.path().to_owned(),
        problem: error.to_string(),
    };
    let changes = world.changes(true).map_err(problem)?;
    directory.store(&changes, [], wall())
}

/// A summary of the world kept in a directory, for people: nothing is changed, time stands still.
///
/// # Errors
/// When there is no readable sandbox.
pub fn show(directory: &Path) -> Result<Value, StoreError> {
    read(directory).map(|world| world.summary())
}

/// Removes the world kept in a directory, damaged or not. Returns whether there was one.
///
/// # Errors
/// When the directory is not a sandbox, or the state can't be removed.
pub fn reset(directory: &Path) -> Result<bool, StoreError> {
    store::remove(directory)
}
