//! The machine that harden993 runs on, as one trait: programs, files, the clock, the environment, the terminal.
//!
//! Everything that a command wants from outside goes through [`Host`], so a test can give it a [`Recorded`] one.

mod connections;
mod error;
mod generation;
mod process;
mod real;
mod recorded;
mod states;

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use connections::{CannotEnd, Connection, Through, can_end, connections, end};
pub use error::{HostError, Refused};
pub use process::Lock;
pub use real::Real;
pub use recorded::{Node, Recorded};

/// A standard stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Stream {
    /// Standard input.
    In,
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

/// A program to be run. No shell is between: each argument reaches the program as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Run {
    /// Its name, looked up in `PATH` and then in the system's own folders (`/usr/sbin`, `/sbin`).
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// What it reads from its standard input.
    pub input: Vec<u8>,
    /// How long it may take; after that it and its children are killed.
    pub time: Duration,
    /// How many bytes it may print to each of its two streams; with one more it is killed.
    pub output: u64,
}

impl Run {
    /// A program that may take ten seconds and print 1 GiB, without input.
    pub fn new(program: impl Into<OsString>, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            input: Vec::new(),
            time: Duration::from_secs(10),
            output: 1 << 30,
        }
    }

    /// The same program with an input.
    #[must_use]
    pub fn input(self, input: impl Into<Vec<u8>>) -> Self {
        Self { input: input.into(), ..self }
    }

    /// The same program with another time.
    #[must_use]
    pub fn time(self, time: Duration) -> Self {
        Self { time, ..self }
    }
}

impl fmt::Display for Run {
    /// The command line, its words joined by blanks: for messages and for the headings of a capture.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.args.iter().try_for_each(|a| write!(f, " {}", a.display()))
    }
}

/// What a program did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ran {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: Vec<u8>,
}

impl Ran {
    /// Whether it exited with 0.
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Whether it failed for want of permission, as the firewall tools say it.
    pub fn denied(&self) -> bool {
        let said = String::from_utf8_lossy(&self.stderr);
        let words =
            ["Permission denied", "permission denied", "Operation not permitted", "must be root", "Must be root"];
        !self.success() && words.iter().any(|w| said.contains(w))
    }

    /// Whether it failed because what the tool is for is not there, or not its own, as the firewall tools say it.
    pub fn unsupported(&self) -> bool {
        let said = String::from_utf8_lossy(&self.stderr);
        let words = [
            "Table does not exist",
            "_tables_names: No such file",
            "Protocol not supported",
            "Operation not supported",
            "Cannot open session to kernel",
            // `iptables-nft-save` of rules that nft wrote and iptables has no words for; nft's listing has them.
            "Parsing nftables rule failed",
        ];
        !self.success() && !self.denied() && words.iter().any(|w| said.contains(w))
    }

    /// Its complaint, for a message: the first lines of standard error, at most 2,000 characters.
    pub fn complaint(&self) -> String {
        String::from_utf8_lossy(&self.stderr).trim().chars().take(2000).collect()
    }
}

/// A file to be written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Write<'a> {
    /// Where.
    pub path: &'a Path,
    /// What.
    pub content: &'a [u8],
    /// Its permissions (`0o600`), where the system has such.
    pub mode: u32,
}

/// The machine.
pub trait Host: fmt::Debug {
    /// A variable of the environment; none if it is not set or no UTF-8.
    fn var(&self, name: &str) -> Option<String>;

    /// The clock.
    fn now(&self) -> jiff::Timestamp;

    /// Whether a standard stream is a terminal.
    fn is_terminal(&self, stream: Stream) -> bool;

    /// The width of the terminal in columns, if there is one.
    fn width(&self) -> Option<usize>;

    /// Reads a regular file of at most `limit` bytes. A FIFO, device, socket or directory is an error, and is not waited
    /// for.
    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, HostError>;

    /// Reads standard input to its end, at most `limit` bytes.
    fn stdin(&self, limit: u64) -> Result<Vec<u8>, HostError>;

    /// Whether something is at this path.
    fn exists(&self, path: &Path) -> bool;

    /// The names in a folder, sorted.
    fn list(&self, folder: &Path) -> Result<Vec<String>, HostError>;

    /// Makes a folder with these permissions, and its parents; one that is there is left as it is.
    fn make_folder(&self, path: &Path, mode: u32) -> Result<(), HostError>;

    /// Whether nobody but its owner, who is root or the user that this runs as, can put anything into a folder.
    fn is_own_folder(&self, path: &Path) -> Result<(), HostError>;

    /// Writes files: all of them are prepared beside their places before the first is put into its place, and each appears
    /// there as a whole or not at all.
    fn write(&self, files: &[Write<'_>]) -> Result<(), HostError>;

    /// Writes a file that must not be there yet; it appears as a whole or not at all.
    fn create(&self, file: Write<'_>) -> Result<(), HostError>;

    /// Removes a file; that it is not there is no error.
    fn remove(&self, path: &Path) -> Result<(), HostError>;

    /// Runs a program to its end, with `LC_ALL=C`. That it exits with another code than 0 is not an error here.
    fn run(&self, run: &Run) -> Result<Ran, HostError>;

    /// A path that is absolute and the same for every spelling of the same file.
    fn identity(&self, path: &Path) -> PathBuf;

    /// The operating system by Rust's name for it: `linux`, `openbsd`, `freebsd`, `macos`, `windows`.
    fn system(&self) -> &str;

    /// Removes an empty folder; that it is not there is no error.
    fn remove_folder(&self, path: &Path) -> Result<(), HostError>;

    /// Takes the lock of a file, which is made if need be; none if another process holds it. It is given back when the
    /// value is dropped, or with the process.
    fn lock(&self, path: &Path) -> Result<Option<Lock>, HostError>;

    /// The generation number of the kernel's nf_tables rules, which rises with every commit; none where it cannot be told.
    fn generation(&self) -> Option<u32>;

    /// Random bytes that nobody can guess.
    fn random(&self) -> Result<[u8; 16], HostError>;

    /// The path of the running program.
    fn this_program(&self) -> Result<PathBuf, HostError>;

    /// Starts a program that goes on when this one ends, without a terminal, in `/`. Returns when it has printed a first
    /// line, which says that it has taken itself out of this session.
    fn detach(&self, words: &[std::ffi::OsString]) -> Result<(), HostError>;

    /// Takes this process out of its session, so that no terminal and no login takes it along, and says so by a line on
    /// standard output, for which [`Self::detach`] waits.
    fn leave_session(&self) -> Result<(), HostError>;

    /// A line from standard input; none at its end, or when the time is over.
    fn answer(&self, within: Option<Duration>) -> Result<Option<String>, HostError>;

    /// Waits.
    fn sleep(&self, time: Duration);
}
