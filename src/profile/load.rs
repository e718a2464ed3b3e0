//! From an origin to a policy: every file read, every problem found, in one run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;

use crate::access::Pattern;
use crate::diagnostic::{Files, Problem};
use crate::policy::{Asked, Policy, Provenance, TargetSettings, TargetSpec};

use super::Store;
use super::checks::checks;
use super::draft::draft;
use super::include::gather;
use super::merge::merge;
use super::overlap::overlaps;
use super::roster::Enroll;
use super::sheet::{Spot, TargetKeys};
use super::sink::Sink;

/// Where a profile comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A file.
    File(PathBuf),
    /// A text, named `<stdin>` in messages; what it names is relative to `dir`.
    Text {
        /// The text.
        text: Vec<u8>,
        /// The directory that includes and list files are relative to.
        dir: PathBuf,
    },
}

/// What the meaning of a profile depends on beside its files.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Today in UTC: what `expires` is compared with.
    pub today: Date,
    /// What each target lets a profile say.
    pub specs: &'a [TargetSpec],
}

/// A profile that was read, with everything that is to be said about it.
#[derive(Debug)]
pub struct Loaded {
    /// The profile's name; empty if it has none that is valid.
    pub name: String,
    /// The free text, if there is one.
    pub description: Option<String>,
    /// The policy; none if there is an error among the problems.
    pub policy: Option<Policy>,
    /// What the profile asks for in writing.
    pub asked: Asked,
    /// What it says to each target by its name.
    pub targets: BTreeMap<String, TargetSettings>,
    /// Where each network comes from.
    pub provenance: Provenance,
    /// What is wrong or unwise, by file and place. Warnings that `[check] allow` names are not in it.
    pub problems: Vec<Problem>,
    /// Every file that was read.
    pub files: Files,
}

impl Loaded {
    /// Whether the profile cannot be used.
    pub fn has_errors(&self) -> bool {
        self.problems.iter().any(Problem::is_error)
    }

    /// What one target is told; nothing, if the profile does not mention it.
    pub fn target(&self, name: &str) -> TargetSettings {
        self.targets.get(name).cloned().unwrap_or_default()
    }
}

/// Reads a profile and everything that it names, and lowers it to a policy.
///
/// Never fails: what is wrong stands in [`Loaded::problems`], all of it.
///
/// ```
/// use harden993::profile::{Disk, Options, Origin, load};
/// let text = b"schema = 1\nname = \"office\"\n[[trusted]]\nname = \"berlin\"\nnetworks = [\"10.0.0.1/8\"]".to_vec();
/// let options = Options { today: jiff::civil::date(2026, 11, 25), specs: &[] };
/// let loaded = load(&Origin::Text { text, dir: ".".into() }, &options, &Disk);
/// assert!(loaded.policy.is_none());
/// assert_eq!(loaded.problems.iter().find(|p| p.is_error()).unwrap().fix.as_deref(), Some("10.0.0.0/8"));
/// ```
pub fn load(origin: &Origin, options: &Options<'_>, store: &impl Store) -> Loaded {
    let mut files = Files::default();
    let mut sink = Sink::default();
    let gathered = gather(origin, options.specs, store, &mut files, &mut sink);
    let known = !gathered.sheets.is_empty();
    let mut merged = merge(gathered.sheets);
    let entries = std::mem::take(&mut merged.entries);
    let roster = Enroll::new(options.today, store, &mut files, &mut sink).all(entries);
    if known {
        checks(&merged, &roster, options, !gathered.broken && !roster.broken, &mut sink);
        overlaps(&roster, &files, &mut sink);
    }
    let (draft, asked, provenance) = draft(&merged, roster, &mut sink);
    Loaded {
        name: merged.values.name.map(|n| n.value).unwrap_or_default(),
        description: merged.values.description.map(|d| d.value),
        policy: (!sink.has_errors()).then(|| draft.lower()),
        asked,
        targets: merged.values.targets.into_iter().map(|(name, keys)| (name.to_owned(), settings(keys))).collect(),
        provenance,
        problems: sink.finish(&merged.allow),
        files,
    }
}

/// What a profile says to one target.
fn settings(keys: TargetKeys) -> TargetSettings {
    let plain = |list: Spot<Vec<Spot<Pattern>>>| list.value.into_iter().map(|p| p.value).collect();
    TargetSettings {
        degrade: keys.degrade.unwrap_or_default().into_iter().collect(),
        interfaces: keys.interfaces.map(plain),
        choices: keys.choices.into_iter().map(|(key, word)| (key.to_owned(), word.to_owned())).collect(),
    }
}
