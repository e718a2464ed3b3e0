//! Why the machine could not do something.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a file is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum Refused {
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is a FIFO, a socket or a device.
    #[error("it is not a regular file")]
    Special,
    /// It belongs to another user than root and whoever asks.
    #[error("it belongs to another user")]
    Foreign,
    /// Others than its owner may write to it.
    #[error("others may write to it")]
    Shared,
}

/// Why the machine could not do something. The message names the file or program.
#[derive(Debug, Error)]
pub enum HostError {
    /// The system said no.
    #[error("{}: {}", path.display(), plain(error))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is none that can be read safely.
    #[error("{}: {why}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: Refused,
    },
    /// The file or stream is larger than it may be.
    #[error("{}: it is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file; `-` for standard input.
        path: PathBuf,
        /// The bound.
        limit: u64,
    },
    /// The program is not installed.
    #[error("{program}: no such program")]
    Missing {
        /// The program.
        program: String,
    },
    /// The program could not be started or listened to.
    #[error("{command}: {}", plain(error))]
    Program {
        /// The command line.
        command: String,
        /// What the system said.
        error: io::Error,
    },
    /// The program took too long and was killed.
    #[error("{command}: took more than {seconds} seconds and was ended")]
    TimedOut {
        /// The command line.
        command: String,
        /// The bound.
        seconds: u64,
    },
    /// The program printed too much and was killed.
    #[error("{command}: printed more than {limit} bytes and was ended")]
    TooMuch {
        /// The command line.
        command: String,
        /// The bound.
        limit: u64,
    },
}

impl HostError {
    pub(super) fn io(path: &Path, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), error }
    }

    /// What the system said, if it was the system.
    pub fn kind(&self) -> Option<io::ErrorKind> {
        match self {
            Self::Io { error, .. } | Self::Program { error, .. } => Some(error.kind()),
            Self::Missing { .. } => Some(io::ErrorKind::NotFound),
            _ => None,
        }
    }

    /// The reason alone, without the name of the file or program.
    pub fn reason(&self) -> String {
        match self {
            Self::Io { error, .. } | Self::Program { error, .. } => plain(error),
            Self::Refused { why, .. } => why.to_string(),
            Self::TooLarge { limit, .. } => format!("it is larger than {limit} bytes"),
            Self::Missing { .. } => "no such program".to_owned(),
            Self::TimedOut { seconds, .. } => format!("took more than {seconds} seconds and was ended"),
            Self::TooMuch { limit, .. } => format!("printed more than {limit} bytes and was ended"),
        }
    }
}

/// The common errors in the same words on every system; others as the system says them.
fn plain(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::AlreadyExists => "it is there already".to_owned(),
        io::ErrorKind::NotADirectory => "a part of the path is not a directory".to_owned(),
        io::ErrorKind::StorageFull => "no space left".to_owned(),
        _ => error.to_string(),
    }
}
