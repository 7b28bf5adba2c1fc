//! Sources that measure jumps or tell of boots: the journal, wtmp, timejump's own store.

use std::path::{Path, PathBuf};

use super::{Scene, SourceState, files::under, from_journal, from_store, from_wtmp};
use crate::{
    node::{
        journal::{self, JournalReading, Wanted},
        wtmp,
    },
    store,
};

const WTMP: &str = "/var/log/wtmp";
/// Jumps of the store that are looked at, the latest ones.
const MOST: u32 = 1024;

/// The journals among `paths`, and the others, which are logs of text.
pub(super) fn journals(paths: &[PathBuf]) -> (Vec<PathBuf>, Vec<PathBuf>) {
    paths.iter().cloned().partition(|path| journal::is_journal(path))
}

/// Reads the journal of the node at `root`, and `more`.
pub(super) fn read_journal(root: &Path, more: &[PathBuf]) -> JournalReading {
    let places = journal::PLACES.iter().map(|place| under(root, Path::new(place)));
    let paths: Vec<PathBuf> = places.filter(|path| path.is_dir()).chain(more.iter().cloned()).collect();
    journal::read(&paths, &Wanted::default())
}

/// Adds to the scene what these tell.
pub(super) fn add(scene: &mut Scene, journal: &JournalReading, state_dir: Option<&Path>) {
    let root = scene.root.clone();
    add_journal(scene, journal);
    add_wtmp(scene, &root);
    if let Some(state_dir) = state_dir {
        add_store(scene, &under(&root, state_dir));
    }
}

fn add_journal(scene: &mut Scene, journal: &JournalReading) {
    for trouble in &journal.troubles {
        scene.sources.push(SourceState::unseen("journal", trouble.clone()));
    }
    if journal.entries == 0 {
        if journal.troubles.is_empty() {
            scene.sources.push(SourceState::unseen(
                "journal",
                "there is none in /var/log/journal or /run/log/journal",
            ));
        }
        return;
    }
    let told = from_journal::tell(journal, scene.boot_id.as_deref());
    let boots = journal.boots.len();
    scene.sources.push(SourceState::seen("journal", format!("{} entries of {boots} boots", journal.entries)));
    scene.journal_covers_boot = told.covers_boot && told.ends_with(scene.present);
    scene.sightings.extend(told.sightings);
    scene.disbelieved.extend(told.disbelieved);
    scene.earlier.extend(told.earlier);
    scene.logs.extend(told.log);
}

fn add_wtmp(scene: &mut Scene, root: &Path) {
    let path = under(root, Path::new(WTMP));
    if !path.is_file() {
        scene.sources.push(SourceState::unseen(WTMP, "there is none"));
        return;
    }
    let reading = wtmp::read(&path);
    let (sightings, anchor) = from_wtmp::tell(&reading);
    scene.sightings.extend(sightings);
    scene.anchors.extend(anchor);
    scene.sources.push(match reading.troubles.first() {
        Some(trouble) => SourceState::unseen(WTMP, trouble.clone()),
        None => SourceState::seen(WTMP, format!("{} records", reading.seen)),
    });
}

fn add_store(scene: &mut Scene, directory: &Path) {
    // Where timejump never ran there is nothing to miss.
    match store::read_only(directory) {
        None => {}
        Some(Err(error)) => scene.sources.push(SourceState::unseen("timejump's store", error.to_string())),
        Some(Ok(store)) => match store.jumps(store::Order::NewestFirst(u64::MAX), MOST) {
            Err(error) => scene.sources.push(SourceState::unseen("timejump's store", error.to_string())),
            Ok(jumps) => {
                let count = jumps.len();
                scene.sources.push(SourceState::seen("timejump's store", format!("{count} jumps")));
                if let Some(boot_id) = scene.boot_id.clone() {
                    scene.sightings.extend(from_store::tell(&jumps, &boot_id));
                }
            }
        },
    }
}
