//! The state directory: what waits, what is confirmed, and the journal of applies with the way back of each.
//!
//! ```text
//! lock                     held by whoever changes the host
//! pending.json             an apply that is being loaded, or waits for its confirmation
//! confirmed.json           what boot and timer load
//! seen.json                the generation number and day at which the host was last known to be right
//! journal/ID/entry.json    one apply
//! journal/ID/before        what was loaded of ours before it (not there: nothing was)
//! journal/ID/closure.json  every file of its profile
//! journal/ID/lost.json     whose open connections end when it is confirmed
//! ```
//!
//! Every file is written as a whole or not at all, readable by its owner only.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::host::{Host, HostError, Lock, Through, Write};
use crate::net::AddrSet;

use super::ChangeError;

/// The number of journal entries that are kept.
pub const KEPT: usize = 20;

/// The largest file of the state directory that is read: a snapshot of some million networks.
const LARGEST: u64 = 1 << 30;

/// An apply that is being loaded, or waits for its confirmation.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pending {
    /// The journal entry.
    pub id: String,
    /// Whether it is loaded and waits; else a load was begun.
    pub waits: bool,
    /// What a confirmation must name, if it comes from a script.
    pub token: String,
    /// When the old rules come back, RFC 3339 in UTC; none: it is not to be confirmed.
    pub confirm_by: Option<String>,
    /// The boot in which it was loaded: after a reboot nothing of it is loaded and no guardian lives.
    pub boot: String,
    /// Whether open connections of those who lose access are ended at the confirmation.
    pub cut: bool,
}

/// Who loses access by an apply that waits.
#[derive(Default, Serialize, Deserialize)]
struct Lost {
    networks: Vec<String>,
    /// See [`Through::translated`].
    translated: bool,
    /// See [`Through::routed`].
    routed: Vec<String>,
}

/// One of the two sides of an apply: what of ours is or was loaded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Side {
    /// SHA-256 of our objects as they are printed; none: nothing of ours.
    pub print: Option<String>,
    /// The policy digest that they carry.
    pub digest: Option<String>,
    /// In which variant of the firewall they are; none: in the only one, or in any.
    #[serde(default)]
    pub place: Option<String>,
}

/// What boot and timer load.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Confirmed {
    /// Nothing of ours.
    Absent,
    /// The profile of a journal entry.
    Profile {
        /// The entry whose closure it is.
        id: String,
        /// The target.
        target: String,
        /// Whether the port is closed whatever the profile trusts.
        closed: bool,
    },
}

/// How far a change has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Nothing was loaded.
    Planned,
    /// A load was begun, or made and not yet looked at.
    Loaded,
    /// It is loaded, and waits to be confirmed.
    Waiting,
    /// It is loaded and confirmed.
    Kept,
    /// What was there before is loaded again.
    Restored,
    /// It could neither be loaded nor put back.
    Broken,
}

/// One apply, as the journal keeps it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Entry {
    /// Its name, which sorts by time.
    pub id: String,
    /// When, RFC 3339 in UTC.
    pub at: String,
    /// Who.
    pub by: String,
    /// What was done: `apply`, `remove`, `rollback`, `restore`.
    pub action: String,
    /// The target.
    pub target: String,
    /// What was loaded before.
    pub before: Side,
    /// What was to be loaded.
    pub after: Side,
    /// The policy digest of the profile; none: nothing was to be loaded.
    pub digest: Option<String>,
    /// Whether the port was closed whatever the profile trusts.
    pub closed: bool,
    /// The guarded ports.
    pub ports: Vec<u16>,
    /// The numbers of addresses that gained, lost, …, by list and family, as decimal strings.
    pub counts: BTreeMap<String, BTreeMap<String, String>>,
    /// Whether it was kept.
    pub confirmed: bool,
    /// How far it came.
    pub stage: Stage,
    /// What was confirmed before it: what going back behind it confirms again.
    pub confirmed_before: Option<Confirmed>,
    /// What it would confirm.
    pub confirms: Confirmed,
}

/// Every file that a profile consists of, by the path under which it was read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Closure {
    /// The path of the profile itself.
    pub profile: PathBuf,
    /// The files: a profile or list file is UTF-8.
    pub files: BTreeMap<PathBuf, String>,
}

impl Closure {
    /// The closure as a store that profiles are read from.
    pub fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        match self.files.get(path) {
            Some(text) => Ok(text.clone().into_bytes()),
            None => Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it is not part of the confirmed state")),
        }
    }
}

/// When the host was last known to be right.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Seen {
    /// The kernel's generation number.
    pub generation: u32,
    /// The boot.
    pub boot: String,
    /// The day in UTC: on another one an entry may have expired.
    pub day: String,
}

/// The state directory.
#[derive(Debug)]
pub struct State<'a> {
    host: &'a dyn Host,
    dir: PathBuf,
}

/// The right to change the host: whoever has this value is the only one.
#[derive(Debug)]
pub struct Held<'a> {
    /// The machine.
    pub host: &'a dyn Host,
    /// The state directory.
    pub state: &'a State<'a>,
    /// The lock.
    pub(super) lock: Lock,
}

impl<'a> State<'a> {
    /// The state in a directory, which need not be there yet.
    pub fn new(host: &'a dyn Host, dir: &Path) -> Self {
        Self { host, dir: dir.to_owned() }
    }

    /// Takes the lock, so that one command at a time changes the host; it is given back when the value is dropped.
    ///
    /// # Errors
    /// [`ChangeError::Locked`] if another command holds it.
    pub fn lock(&self) -> Result<Held<'_>, ChangeError> {
        self.host.make_folder(&self.dir, 0o700)?;
        // What stands there is loaded with the rights of root.
        self.host.is_own_folder(&self.dir)?;
        let lock = self.host.lock(&self.dir.join("lock"))?.ok_or(ChangeError::Locked)?;
        Ok(Held { host: self.host, state: self, lock })
    }

    /// What is being loaded or waits.
    pub fn pending(&self) -> Result<Option<Pending>, ChangeError> {
        self.get(Path::new("pending.json"))
    }

    /// Says what is being loaded or waits; none: nothing any more.
    pub fn set_pending(&self, pending: Option<&Pending>) -> Result<(), ChangeError> {
        match pending {
            Some(pending) => self.put(Path::new("pending.json"), pending),
            None => Ok(self.host.remove(&self.dir.join("pending.json"))?),
        }
    }

    /// What is confirmed; none: nothing ever was.
    pub fn confirmed(&self) -> Result<Option<Confirmed>, ChangeError> {
        self.get(Path::new("confirmed.json"))
    }

    /// Says what is confirmed.
    pub fn set_confirmed(&self, confirmed: &Confirmed) -> Result<(), ChangeError> {
        self.put(Path::new("confirmed.json"), confirmed)
    }

    /// When the host was last known to be right.
    pub fn seen(&self) -> Result<Option<Seen>, ChangeError> {
        self.get(Path::new("seen.json"))
    }

    /// Says that the host is right now; none: that it is not known to be.
    pub fn set_seen(&self, seen: Option<&Seen>) -> Result<(), ChangeError> {
        match seen {
            Some(seen) => self.put(Path::new("seen.json"), seen),
            None => Ok(self.host.remove(&self.dir.join("seen.json"))?),
        }
    }

    /// The journal, oldest first. Entries that cannot be read are left out: a torn one was never complete.
    pub fn entries(&self) -> Result<Vec<Entry>, ChangeError> {
        let names = self.names()?;
        Ok(names.iter().filter_map(|id| self.entry(id).ok().flatten()).collect())
    }

    /// One entry.
    pub fn entry(&self, id: &str) -> Result<Option<Entry>, ChangeError> {
        match Self::checked(id) {
            Ok(id) => self.get(&Path::new("journal").join(id).join("entry.json")),
            Err(_) => Ok(None),
        }
    }

    /// Writes an entry.
    pub fn set_entry(&self, entry: &Entry) -> Result<(), ChangeError> {
        let place = self.folder(&entry.id)?;
        self.put(&place.join("entry.json"), entry)
    }

    /// Keeps what was loaded before an apply.
    pub fn set_before(&self, id: &str, snapshot: Option<&str>) -> Result<(), ChangeError> {
        let path = self.dir.join(self.folder(id)?).join("before");
        match snapshot {
            Some(text) => Ok(self.host.write(&[Write { path: &path, content: text.as_bytes(), mode: 0o600 }])?),
            None => Ok(self.host.remove(&path)?),
        }
    }

    /// What was loaded before an apply; none: nothing of ours.
    pub fn before(&self, id: &str) -> Result<Option<String>, ChangeError> {
        let path = self.dir.join("journal").join(Self::checked(id)?).join("before");
        let bytes = present(self.host.read(&path, LARGEST))?;
        bytes.map(|b| String::from_utf8(b).map_err(|e| Self::wrong(&path, e))).transpose()
    }

    /// Keeps every file of a profile.
    pub fn set_closure(&self, id: &str, closure: &Closure) -> Result<(), ChangeError> {
        let place = self.folder(id)?;
        self.put(&place.join("closure.json"), closure)
    }

    /// Every file of the profile of an apply.
    pub fn closure(&self, id: &str) -> Result<Option<Closure>, ChangeError> {
        let place = Path::new("journal").join(Self::checked(id)?);
        self.get(&place.join("closure.json"))
    }

    /// Keeps who loses access by an apply that waits, so that their connections can be ended at its confirmation.
    pub fn set_lost(&self, id: &str, lost: &AddrSet, through: &Through) -> Result<(), ChangeError> {
        let place = self.folder(id)?;
        let lost =
            Lost { networks: lost.to_cidrs(), translated: through.translated, routed: through.routed.to_cidrs() };
        self.put(&place.join("lost.json"), &lost)
    }

    /// Who loses access by an apply that waits, and which of their connections through this host are meant.
    pub fn lost(&self, id: &str) -> Result<(AddrSet, Through), ChangeError> {
        let place = Path::new("journal").join(Self::checked(id)?).join("lost.json");
        let lost: Lost = self.get(&place)?.unwrap_or_default();
        let set = |texts: &[String]| {
            let networks = texts.iter().map(|t| crate::net::parse_network(t.as_bytes()));
            networks.collect::<Result<AddrSet, _>>().map_err(|e| Self::wrong(&self.dir.join(&place), e))
        };
        Ok((set(&lost.networks)?, Through { translated: lost.translated, routed: set(&lost.routed)? }))
    }

    /// Removes the oldest entries beyond [`KEPT`], but never one that is confirmed, that waits, or that is named.
    pub fn prune(&self) -> Result<(), ChangeError> {
        let entries = self.entries()?;
        let mut needed: Vec<String> = self.pending()?.map(|p| p.id).into_iter().collect();
        let confirmed = self.confirmed()?;
        let kept = entries.iter().rev().take(KEPT);
        let before = kept.filter_map(|e| e.confirmed_before.clone());
        for state in before.chain(confirmed) {
            if let Confirmed::Profile { id, .. } = state {
                needed.push(id);
            }
        }
        let folder = self.dir.join("journal");
        let names = self.names()?;
        // What has no entry was cut off before anything was loaded.
        let torn = names.into_iter().filter(|n| !entries.iter().any(|e| e.id == *n));
        let old = entries.iter().rev().skip(KEPT).map(|e| e.id.clone());
        for id in torn.chain(old).filter(|id| !needed.contains(id)) {
            let folder = folder.join(&id);
            for name in ["entry.json", "before", "closure.json", "lost.json"] {
                self.host.remove(&folder.join(name))?;
            }
            self.host.remove_folder(&folder)?;
        }
        Ok(())
    }

    /// An id that no entry has, which sorts behind all of them.
    pub fn new_id(&self) -> Result<String, ChangeError> {
        let now = self.host.now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let taken = self.names()?;
        // A clock that was set back must not sort a new entry before an old one.
        let last = taken.iter().rev().find(|id| **id >= now);
        Ok(match last {
            None => now,
            Some(last) => {
                let (base, number) = last.split_once('-').unwrap_or((last, "0"));
                format!("{base}-{:03}", number.parse::<u32>().unwrap_or(0) + 1)
            }
        })
    }

    /// The names of all entries, oldest first.
    fn names(&self) -> Result<Vec<String>, ChangeError> {
        Ok(present(self.host.list(&self.dir.join("journal")))?.unwrap_or_default())
    }

    /// The part of an id that may be a file name: digits, letters and dashes only.
    fn checked(id: &str) -> Result<&str, ChangeError> {
        let fine = !id.is_empty() && id.len() <= 40 && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if fine { Ok(id) } else { Err(ChangeError::NoEntry(id.escape_debug().to_string())) }
    }

    fn folder(&self, id: &str) -> Result<PathBuf, ChangeError> {
        let place = Path::new("journal").join(Self::checked(id)?);
        self.host.make_folder(&self.dir.join(&place), 0o700)?;
        Ok(place)
    }

    fn get<T: DeserializeOwned>(&self, name: &Path) -> Result<Option<T>, ChangeError> {
        let path = self.dir.join(name);
        let bytes = present(self.host.read(&path, LARGEST))?;
        bytes.map(|b| serde_json::from_slice(&b).map_err(|e| Self::wrong(&path, e))).transpose()
    }

    fn put<T: Serialize>(&self, name: &Path, value: &T) -> Result<(), ChangeError> {
        let path = self.dir.join(name);
        self.host.make_folder(&self.dir, 0o700)?;
        let text = serde_json::to_vec(value).map_err(|e| Self::wrong(&path, e))?;
        Ok(self.host.write(&[Write { path: &path, content: &text, mode: 0o600 }])?)
    }

    fn wrong(path: &Path, why: impl std::fmt::Display) -> ChangeError {
        ChangeError::State { path: path.display().to_string(), message: why.to_string() }
    }
}

/// What was found; none if it is not there. That it may not be looked at is an error, and never "nothing".
fn present<T>(found: Result<T, HostError>) -> Result<Option<T>, HostError> {
    match found {
        Err(e) if e.kind() == Some(std::io::ErrorKind::NotFound) => Ok(None),
        other => other.map(Some),
    }
}
