//! The volumes under kubelet's root directory, followed as they come, change and go.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    Volume, VolumeTrouble, read_volume,
    watch::{Event, Mounts, PARENT, VOLUME, Watches},
};
use crate::clock::{BootNs, Clocks, SystemClocks};

const VOLUMES: &str = "volumes";
/// Where kubelet has a pod's projected volumes (pkg/volume/projected: `kubernetes.io/projected`, escaped).
const PROJECTED: &str = "kubernetes.io~projected";

/// Volumes looked at for a CA.
const MOST_TRIED: usize = 64;

/// What a watch is on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Pods,
    Pod(Arc<str>),
    Volumes(Arc<str>),
    Projected(Arc<str>),
    Volume(Arc<str>, Arc<str>),
}

/// A volume, and when what is in it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// What is in it.
    pub volume: Volume,
    /// When `..data` was seen to be swapped, ns since boot; nothing: it was so when it was first looked at.
    pub at: Option<BootNs>,
    /// How often it was seen to be swapped.
    pub swaps: u64,
}

/// A volume that has come, changed or gone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The pod's uid.
    pub pod_uid: Arc<str>,
    /// The volume.
    pub volume: Arc<str>,
}

/// How well the tree is followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TreeState {
    /// Every change is seen.
    Watched,
    /// There is no directory of pods.
    NoPods,
    /// It cannot be read, or not be watched: it is only looked at from time to time.
    Blind(String),
}

/// The volumes under a root directory.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    watches: Option<Watches>,
    mounts: Option<Mounts>,
    places: HashMap<i32, Place>,
    pods: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Seen>>,
    /// Volumes with nothing in them yet: what they are mounted on may be seen instead of them.
    pending: BTreeSet<(Arc<str>, Arc<str>)>,
    state: TreeState,
}

impl Tree {
    /// The tree under kubelet's root directory `root`, looked at. Must be called within a tokio runtime.
    pub fn open(root: &Path) -> Self {
        let (watches, state) = match Watches::new() {
            Ok(watches) => (Some(watches), TreeState::NoPods),
            Err(error) => (None, TreeState::Blind(format!("inotify: {error}"))),
        };
        let mut tree = Self {
            root: root.to_owned(),
            watches,
            mounts: Mounts::new().ok(),
            places: HashMap::new(),
            pods: BTreeMap::new(),
            pending: BTreeSet::new(),
            state,
        };
        tree.rescan();
        tree
    }

    /// kubelet's root directory.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// How well it is followed.
    pub fn state(&self) -> &TreeState {
        &self.state
    }

    /// Watches there are.
    pub fn watches(&self) -> usize {
        self.places.len()
    }

    /// What is in a volume; nothing if there is none.
    pub fn get(&self, pod_uid: &str, volume: &str) -> Option<&Seen> {
        self.pods.get(pod_uid)?.get(volume)
    }

    /// All volumes, each as it was last read.
    pub fn all(&self) -> impl Iterator<Item = (Change, &Seen)> {
        self.pods.iter().flat_map(|(pod_uid, volumes)| {
            volumes.iter().map(|(volume, seen)| {
                (Change { pod_uid: Arc::clone(pod_uid), volume: Arc::clone(volume) }, seen)
            })
        })
    }

    /// What cannot be told of volumes.
    pub fn troubles(&self) -> Vec<VolumeTrouble> {
        let troubles = self.all().flat_map(|(change, seen)| {
            seen.volume.troubles.iter().map(move |trouble| VolumeTrouble {
                pod_uid: Arc::clone(&change.pod_uid),
                volume: Arc::clone(&change.volume),
                trouble: trouble.clone(),
            })
        });
        troubles.collect()
    }

    /// The CA that kubelet gives to pods for their apiserver, as a file in one of the volumes.
    pub fn usual_ca(&self) -> Option<PathBuf> {
        let volumes = self.all().filter(|(_, seen)| !seen.volume.tokens.is_empty());
        let files = volumes.map(|(change, _)| {
            self.path(&Place::Volume(change.pod_uid, change.volume)).join("..data/ca.crt")
        });
        files.take(MOST_TRIED).find(|file| file.is_file())
    }

    /// Waits until the kernel tells of something. May be given up at any time.
    pub async fn told(&self) {
        let watches = async {
            match &self.watches {
                Some(watches) => watches.ready().await,
                None => std::future::pending().await,
            }
        };
        let mounts = async {
            match &self.mounts {
                Some(mounts) if !self.pending.is_empty() => mounts.changed().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = watches => {}
            () = mounts => {}
        }
    }

    /// Takes in what the kernel told of. Gives the volumes that are not as they were.
    pub fn take(&mut self) -> BTreeSet<Change> {
        let events = self.watches.as_ref().map(Watches::take).unwrap_or_default();
        if events.contains(&Event::Overflow) {
            tracing::warn!("inotify has lost events: all token volumes are looked at anew");
            return self.rescan();
        }
        let mut changed = BTreeSet::new();
        let mut swapped = BTreeSet::new();
        for event in events {
            self.event(event, &mut changed, &mut swapped);
        }
        for (pod_uid, volume) in swapped {
            self.read(&pod_uid, &volume, true, &mut changed);
        }
        for (pod_uid, volume) in self.pending.clone() {
            self.enter(&Place::Volume(pod_uid, volume), &mut changed);
        }
        changed
    }

    /// Looks at everything anew. Gives the volumes that are not as they were.
    pub fn rescan(&mut self) -> BTreeSet<Change> {
        let mut changed = BTreeSet::new();
        self.state = TreeState::Watched;
        let known: Vec<Change> = self.all().map(|(change, _)| change).collect();
        // What is still there has the number that it had. That a watch has ended may be among what was lost.
        let watched = std::mem::take(&mut self.places);
        self.enter(&Place::Pods, &mut changed);
        if let Some(watches) = &self.watches {
            watched
                .keys()
                .filter(|watch| !self.places.contains_key(watch))
                .for_each(|watch| watches.end(*watch));
        }
        for change in known {
            let path = self.path(&Place::Volume(Arc::clone(&change.pod_uid), Arc::clone(&change.volume)));
            if !path.is_dir() {
                self.drop_volume(&change.pod_uid, &change.volume, &mut changed);
            }
        }
        changed
    }

    fn event(
        &mut self,
        event: Event,
        changed: &mut BTreeSet<Change>,
        swapped: &mut BTreeSet<(Arc<str>, Arc<str>)>,
    ) {
        match event {
            Event::Overflow => {}
            Event::Ended(watch) => match self.places.remove(&watch) {
                Some(Place::Pods) => self.state = TreeState::NoPods,
                Some(Place::Volume(pod_uid, volume)) => {
                    // Unmounted, or gone for good: what is there now tells.
                    self.enter(&Place::Volume(pod_uid, volume), changed);
                }
                _ => {}
            },
            Event::Came(watch, name) => match self.places.get(&watch).cloned() {
                Some(Place::Pods) => self.enter(&Place::Pod(name.into()), changed),
                Some(Place::Pod(pod_uid)) if name == VOLUMES => self.enter(&Place::Volumes(pod_uid), changed),
                Some(Place::Volumes(pod_uid)) if name == PROJECTED => {
                    self.enter(&Place::Projected(pod_uid), changed);
                }
                Some(Place::Projected(pod_uid)) => {
                    self.enter(&Place::Volume(pod_uid, name.into()), changed);
                }
                Some(Place::Volume(pod_uid, volume)) if name == "..data" => {
                    swapped.insert((pod_uid, volume));
                }
                _ => {}
            },
            Event::Went(watch, name) => match self.places.get(&watch).cloned() {
                Some(Place::Pods) => {
                    let volumes = self.pods.remove(&*name).unwrap_or_default();
                    let pod_uid: Arc<str> = name.into();
                    for volume in volumes.into_keys() {
                        self.pending.remove(&(Arc::clone(&pod_uid), Arc::clone(&volume)));
                        changed.insert(Change { pod_uid: Arc::clone(&pod_uid), volume });
                    }
                }
                Some(Place::Projected(pod_uid)) => self.drop_volume(&pod_uid, &name, changed),
                _ => {}
            },
        }
    }

    fn path(&self, place: &Place) -> PathBuf {
        let pods = self.root.join("pods");
        match place {
            Place::Pods => pods,
            Place::Pod(pod_uid) => pods.join(&**pod_uid),
            Place::Volumes(pod_uid) => pods.join(&**pod_uid).join(VOLUMES),
            Place::Projected(pod_uid) => pods.join(&**pod_uid).join(VOLUMES).join(PROJECTED),
            Place::Volume(pod_uid, volume) => {
                pods.join(&**pod_uid).join(VOLUMES).join(PROJECTED).join(&**volume)
            }
        }
    }

    /// Watches a place, then looks at what is in it: what comes in between is seen twice, not missed.
    fn enter(&mut self, place: &Place, changed: &mut BTreeSet<Change>) {
        let path = self.path(place);
        let flags = if matches!(place, Place::Volume(..)) { VOLUME } else { PARENT };
        if let Some(watches) = &self.watches {
            match watches.add(&path, flags) {
                Ok(watch) => {
                    self.places.insert(watch, place.clone());
                }
                Err(error) if is_absent(&error) => {
                    self.absent(place, changed);
                    return;
                }
                Err(error) => self.blind(&path, &error),
            }
        }
        let children = match place {
            Place::Volume(pod_uid, volume) => {
                self.read(pod_uid, volume, false, changed);
                return;
            }
            Place::Pod(pod_uid) => {
                self.enter(&Place::Volumes(Arc::clone(pod_uid)), changed);
                return;
            }
            Place::Volumes(pod_uid) => {
                self.enter(&Place::Projected(Arc::clone(pod_uid)), changed);
                return;
            }
            Place::Pods | Place::Projected(_) => names(&path),
        };
        let children = match children {
            Ok(children) => children,
            Err(error) if is_absent(&error) => return self.absent(place, changed),
            Err(error) => return self.blind(&path, &error),
        };
        for name in children {
            let child = match place {
                Place::Projected(pod_uid) => Place::Volume(Arc::clone(pod_uid), name.into()),
                _ => Place::Pod(name.into()),
            };
            self.enter(&child, changed);
        }
    }

    fn absent(&mut self, place: &Place, changed: &mut BTreeSet<Change>) {
        match place {
            Place::Pods => self.state = TreeState::NoPods,
            Place::Volume(pod_uid, volume) => {
                let (pod_uid, volume) = (Arc::clone(pod_uid), Arc::clone(volume));
                self.drop_volume(&pod_uid, &volume, changed);
            }
            // It comes later, or never: not every pod has such volumes.
            _ => {}
        }
    }

    fn blind(&mut self, path: &Path, error: &io::Error) {
        if matches!(self.state, TreeState::Blind(_)) {
            return;
        }
        // inotify_add_watch(2) says "no space" where the user may have no more watches.
        let why = match error.raw_os_error() {
            Some(libc::ENOSPC) => {
                "no more inotify watches may be had (fs.inotify.max_user_watches)".to_owned()
            }
            _ => error.to_string(),
        };
        self.state = TreeState::Blind(format!("{}: {why}", path.display()));
    }

    fn drop_volume(&mut self, pod_uid: &str, volume: &str, changed: &mut BTreeSet<Change>) {
        let Some(volumes) = self.pods.get_mut(pod_uid) else { return };
        let Some((volume, _)) = volumes.remove_entry(volume) else { return };
        if volumes.is_empty() {
            self.pods.remove(pod_uid);
        }
        let pod_uid: Arc<str> = pod_uid.into();
        self.pending.remove(&(Arc::clone(&pod_uid), Arc::clone(&volume)));
        changed.insert(Change { pod_uid, volume });
    }

    fn read(&mut self, pod_uid: &Arc<str>, volume: &Arc<str>, swapped: bool, changed: &mut BTreeSet<Change>) {
        let path = self.path(&Place::Volume(Arc::clone(pod_uid), Arc::clone(volume)));
        let read = read_volume(&path);
        let key = (Arc::clone(pod_uid), Arc::clone(volume));
        if read.data.is_empty() {
            self.pending.insert(key);
        } else {
            self.pending.remove(&key);
        }
        let volumes = self.pods.entry(Arc::clone(pod_uid)).or_default();
        let seen = volumes.entry(Arc::clone(volume)).or_default();
        if seen.volume == read {
            return;
        }
        // One that has come into an empty volume that we were watching was seen to come as well.
        let swap = seen.volume.data != read.data && !read.data.is_empty() && swapped;
        if swap {
            seen.at = Some(BootNs(SystemClocks.boottime_ns()));
            seen.swaps += 1;
        } else if seen.volume.data != read.data {
            seen.at = None;
        }
        seen.volume = read;
        changed.insert(Change { pod_uid: Arc::clone(pod_uid), volume: Arc::clone(volume) });
    }
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn names(path: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path)? {
        names.extend(entry?.file_name().into_string());
    }
    Ok(names)
}
