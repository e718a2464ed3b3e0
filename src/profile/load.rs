//! From an origin to a policy: every file read, every problem found, in one run.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::civil::Date;

use crate::diagnostic::{Files, Problem};
use crate::policy::{Asked, Policy, Provenance, TargetSettings, TargetSpec};

use super::Store;

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
pub fn load(origin: &Origin, options: &Options<'_>, store: &impl Store) -> Loaded {
    let _ = (options.today, options.specs);
    let mut files = Files::default();
    let mut problems = Vec::new();
    match origin {
        Origin::Text { text, dir } => {
            files.add("<stdin>".to_owned(), dir.join("<stdin>"), Some(text.clone()));
        }
        Origin::File(path) => {
            let content = store.read(path);
            if let Err(e) = &content {
                problems.push(Problem::new(&crate::diagnostic::codes::SYNTAX, e.to_string()));
            }
            files.add(path.display().to_string(), path.clone(), content.ok());
        }
    }
    Loaded {
        name: String::new(),
        description: None,
        policy: None,
        asked: Asked::new(),
        targets: BTreeMap::new(),
        provenance: Provenance::default(),
        problems,
        files,
    }
}
