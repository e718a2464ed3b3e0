//! Loading as data: the commands that check, load or put back, for whoever runs them.

use thiserror::Error;

use super::{File, Job, ReadError};

/// A command that checks or changes what is loaded. No shell is between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The program.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// What it reads from its standard input.
    pub input: String,
}

impl Step {
    /// A command with an input.
    pub fn new(program: &str, args: &[&str], input: impl Into<String>) -> Self {
        Self { program: program.to_owned(), args: args.iter().map(|a| (*a).to_owned()).collect(), input: input.into() }
    }
}

/// What is to stand in the place of our objects.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// A rendering.
    Rendering(&'a Job<'a>, &'a [File]),
    /// What [`super::Target::snapshot`] kept of another time.
    Snapshot(&'a str),
    /// The same, loaded as a whole whatever is there of ours now.
    Anew(&'a str),
    /// Nothing.
    Absent,
}

/// How a host is brought to what is wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Loading {
    /// Commands by which the firewall checks the change without making it. They run first; one that fails refuses it.
    pub check: Vec<Step>,
    /// Commands that make the change, each atomic in itself. They stop at the first that fails.
    pub load: Vec<Step>,
    /// Whether only the difference is loaded, so that counters, meters and other state stay.
    pub delta: bool,
    /// Commands that list what the change names and nothing else; [`super::Target::looked`] knows what they show. Empty:
    /// only a listing of everything tells what became of it.
    pub looks: Vec<Step>,
}

/// Why a change cannot even be planned.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum LoadError {
    /// The host's listing, or a snapshot, could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The host is not in a state in which it can be loaded, and what to do.
    #[error("{message}")]
    Host {
        /// What is in the way.
        message: String,
        /// What to do.
        help: String,
    },
}
