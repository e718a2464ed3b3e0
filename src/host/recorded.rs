//! A machine in memory, for tests: files, environment, clock and the programs that were recorded.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Component, Path, PathBuf};

use super::{Host, HostError, Lock, Ran, Refused, Run, Stream, Write};

/// What is at a path of a [`Recorded`] host.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Node {
    /// A regular file.
    File(Vec<u8>),
    /// A directory that may be empty. Those that hold a file need not be told.
    Directory,
    /// A FIFO, socket or device.
    Special,
    /// A file that may not be read.
    Forbidden,
}

/// A machine in memory. The working directory is `/srv`; relative paths are below it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What is at each absolute path.
    pub nodes: RefCell<BTreeMap<PathBuf, Node>>,
    /// The operating system.
    pub system: &'static str,
    /// The environment.
    pub vars: BTreeMap<String, String>,
    /// The clock.
    pub now: Cell<jiff::Timestamp>,
    /// The streams that are terminals.
    pub terminals: BTreeSet<Stream>,
    /// The width of the terminal.
    pub width: Option<usize>,
    /// What standard input holds.
    pub stdin: Vec<u8>,
    /// What each command line does; one that is not here is not installed.
    pub programs: BTreeMap<String, Ran>,
    /// The programs that were run, in order.
    pub runs: RefCell<Vec<Run>>,
}

impl Default for Recorded {
    /// An empty machine on 2026-01-15 at noon.
    fn default() -> Self {
        Self {
            nodes: RefCell::default(),
            system: "linux",
            vars: BTreeMap::new(),
            now: Cell::new(jiff::Timestamp::constant(1_768_478_400, 0)),
            terminals: BTreeSet::new(),
            width: None,
            stdin: Vec::new(),
            programs: BTreeMap::new(),
            runs: RefCell::default(),
        }
    }
}

impl Recorded {
    /// Puts a file at a path.
    pub fn put(&self, path: impl AsRef<Path>, content: impl Into<Vec<u8>>) {
        self.nodes.borrow_mut().insert(self.identity(path.as_ref()), Node::File(content.into()));
    }

    fn is_folder(&self, path: &Path) -> bool {
        path == Path::new("/srv")
            || self
                .nodes
                .borrow()
                .iter()
                .any(|(p, n)| (p == path && *n == Node::Directory) || (p != path && p.starts_with(path)))
    }

    fn insert(&self, file: Write<'_>) -> Result<(), HostError> {
        let path = self.identity(file.path);
        if path.parent().is_none_or(|p| !self.is_folder(p)) {
            return Err(HostError::io(file.path, io::ErrorKind::NotFound.into()));
        }
        if self.is_folder(&path) {
            return Err(HostError::Refused { path: file.path.to_owned(), why: Refused::Directory });
        }
        self.nodes.borrow_mut().insert(path, Node::File(file.content.to_vec()));
        Ok(())
    }
}

impl Host for Recorded {
    fn var(&self, name: &str) -> Option<String> {
        self.vars.get(name).cloned()
    }

    fn now(&self) -> jiff::Timestamp {
        self.now.get()
    }

    fn is_terminal(&self, stream: Stream) -> bool {
        self.terminals.contains(&stream)
    }

    fn width(&self) -> Option<usize> {
        self.width
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
        let at = self.identity(path);
        let refused = |why| Err(HostError::Refused { path: path.to_owned(), why });
        match self.nodes.borrow().get(&at) {
            Some(Node::File(content)) if content.len() as u64 > limit => {
                Err(HostError::TooLarge { path: path.to_owned(), limit })
            }
            Some(Node::File(content)) => Ok(content.clone()),
            Some(Node::Special) => refused(Refused::Special),
            Some(Node::Forbidden) => Err(HostError::io(path, io::ErrorKind::PermissionDenied.into())),
            Some(Node::Directory) => refused(Refused::Directory),
            None if self.is_folder(&at) => refused(Refused::Directory),
            None => Err(HostError::io(path, io::ErrorKind::NotFound.into())),
        }
    }

    fn stdin(&self, limit: u64) -> Result<Vec<u8>, HostError> {
        if self.stdin.len() as u64 > limit {
            return Err(HostError::TooLarge { path: PathBuf::from("-"), limit });
        }
        Ok(self.stdin.clone())
    }

    fn exists(&self, path: &Path) -> bool {
        let at = self.identity(path);
        self.nodes.borrow().contains_key(&at) || self.is_folder(&at)
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, HostError> {
        let at = self.identity(folder);
        if !self.is_folder(&at) {
            return Err(HostError::io(folder, io::ErrorKind::NotFound.into()));
        }
        let nodes = self.nodes.borrow();
        let below = nodes.keys().filter_map(|p| p.strip_prefix(&at).ok()?.components().next());
        let names: BTreeSet<String> = below.map(|c| c.as_os_str().to_string_lossy().into_owned()).collect();
        Ok(names.into_iter().collect())
    }

    fn make_folder(&self, path: &Path, _mode: u32) -> Result<(), HostError> {
        let at = self.identity(path);
        match self.nodes.borrow_mut().entry(at).or_insert(Node::Directory) {
            Node::Directory => Ok(()),
            _ => Err(HostError::io(path, io::ErrorKind::AlreadyExists.into())),
        }
    }

    fn is_own_folder(&self, _path: &Path) -> Result<(), HostError> {
        Ok(())
    }

    fn write(&self, files: &[Write<'_>]) -> Result<(), HostError> {
        files.iter().try_for_each(|f| self.insert(*f))
    }

    fn create(&self, file: Write<'_>) -> Result<(), HostError> {
        if self.exists(file.path) {
            return Err(HostError::io(file.path, io::ErrorKind::AlreadyExists.into()));
        }
        self.insert(file)
    }

    fn remove(&self, path: &Path) -> Result<(), HostError> {
        self.nodes.borrow_mut().remove(&self.identity(path));
        Ok(())
    }

    fn run(&self, run: &Run) -> Result<Ran, HostError> {
        self.runs.borrow_mut().push(run.clone());
        let missing = || HostError::Missing { program: run.program.display().to_string() };
        self.programs.get(&run.to_string()).cloned().ok_or_else(missing)
    }

    fn identity(&self, path: &Path) -> PathBuf {
        // There are no links here, so the path alone tells.
        let mut out = PathBuf::new();
        for part in Path::new("/srv").join(path).components() {
            match part {
                Component::ParentDir => {
                    out.pop();
                }
                Component::CurDir => {}
                other => out.push(other),
            }
        }
        out
    }

    fn system(&self) -> &str {
        self.system
    }

    fn remove_folder(&self, path: &Path) -> Result<(), HostError> {
        self.remove(path)
    }

    fn lock(&self, _path: &Path) -> Result<Option<Lock>, HostError> {
        // Nobody else is here.
        Ok(Some(Lock::default()))
    }

    fn generation(&self) -> Option<u32> {
        None
    }

    fn random(&self) -> Result<[u8; 16], HostError> {
        Ok([0x99; 16])
    }

    fn this_program(&self) -> Result<PathBuf, HostError> {
        Ok(PathBuf::from("/usr/bin/harden993"))
    }

    fn detach(&self, words: &[std::ffi::OsString]) -> Result<(), HostError> {
        let (program, args) = words.split_first().ok_or_else(|| HostError::Missing { program: String::new() })?;
        self.runs.borrow_mut().push(Run::new(program, args));
        Ok(())
    }

    fn leave_session(&self) -> Result<(), HostError> {
        Ok(())
    }

    fn answer(&self, _within: Option<std::time::Duration>) -> Result<Option<String>, HostError> {
        Ok(self.stdin.split(|b| *b == b'\n').next().map(|l| String::from_utf8_lossy(l).into_owned()))
    }

    fn sleep(&self, _time: std::time::Duration) {}
}
