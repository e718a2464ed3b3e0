//! Why a change was not made, or not kept.

use thiserror::Error;

use crate::host::{HostError, Ran};
use crate::target::{LoadError, ReadError};

/// Why a change was not made, or not kept.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// The machine could not do something.
    #[error(transparent)]
    Host(#[from] HostError),
    /// A firewall tool said no.
    #[error("`{command}` failed{}{}", how(ran), said(ran))]
    Refused {
        /// The command line.
        command: String,
        /// What it did.
        ran: Ran,
    },
    /// The host has no firewall tool that is known here.
    #[error("no firewall tool was found on this host")]
    NoFirewall,
    /// The rules of the host could not be read.
    #[error("the rules of this host could not be read: {0}")]
    Unreadable(ReadError),
    /// The change could not be planned.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Somebody writes rules all the time.
    #[error("the rules of this host change faster than they can be read")]
    Busy,
    /// Somebody wrote rules between the reading and the loading.
    #[error("somebody else changed the rules of this host after they were read")]
    Stale,
    /// Another command is at work.
    #[error("another harden993 is changing this host")]
    Locked,
    /// Another apply waits for its confirmation.
    #[error("the apply {id} waits to be confirmed until {confirm_by}")]
    Waits {
        /// Which.
        id: String,
        /// Until when, RFC 3339 in UTC.
        confirm_by: String,
    },
    /// What is in the state directory makes no sense.
    #[error("{path}: {message}")]
    State {
        /// The file.
        path: String,
        /// What is wrong.
        message: String,
    },
    /// The snapshot of what is loaded would not load again.
    #[error("what is loaded now could not be put back later, so nothing was changed: {why}")]
    NoWayBack {
        /// Why.
        why: String,
    },
    /// There is nothing to go back to.
    #[error("{0}")]
    NothingThere(String),
    /// The journal has no such entry.
    #[error("there is no apply `{0}`")]
    NoEntry(String),
    /// What was loaded is not what was to be loaded.
    #[error("what is loaded now does not read as what was rendered")]
    NotAsRendered,
    /// What was put back is not what was there.
    #[error("what is loaded now does not read as what was loaded before")]
    NotAsBefore,
    /// The load failed, and changed nothing.
    #[error("{why}; nothing was changed")]
    NotLoaded {
        /// What went wrong.
        why: String,
    },
    /// The load failed or did not hold, and the old rules are back.
    #[error("{why}; the rules from before are loaded again")]
    PutBack {
        /// What went wrong.
        why: String,
    },
    /// The load failed or did not hold, and the old rules could not be put back.
    #[error("{why}; the rules from before could not be put back: {undo}; loaded now: {loaded}")]
    Broken {
        /// What went wrong.
        why: String,
        /// Why it could not be undone.
        undo: String,
        /// What is loaded.
        loaded: String,
    },
}

impl ChangeError {
    /// Whether the host lacks the right to do it.
    pub fn is_permission(&self) -> bool {
        match self {
            Self::Host(e) => HostError::kind(e) == Some(std::io::ErrorKind::PermissionDenied),
            Self::Refused { ran, .. } => ran.denied(),
            _ => false,
        }
    }

    /// Whether nothing can be written where it must be: the disk is full, or read-only.
    pub fn is_unwritable(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, ReadOnlyFilesystem, StorageFull};
        let Self::Host(error) = self else { return false };
        matches!(error.kind(), Some(StorageFull | QuotaExceeded | ReadOnlyFilesystem))
    }
}

fn how(ran: &Ran) -> String {
    match ran.code {
        Some(code) => format!(" with exit code {code}"),
        None => " (a signal ended it)".to_owned(),
    }
}

fn said(ran: &Ran) -> String {
    let complaint = ran.complaint();
    if complaint.is_empty() { String::new() } else { format!(": {complaint}") }
}
