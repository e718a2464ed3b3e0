//! Locks, randomness, and programs that outlive this one.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use super::HostError;

/// A lock that is held until it is dropped.
#[derive(Debug, Default)]
pub struct Lock {
    // The lock is the kernel's, on the open file; closing the file gives it back.
    file: Option<fs::File>,
}

impl Lock {
    /// Does something while the programs that are started hold the lock too: if this process is killed, nobody gets the
    /// lock before the program that it has started has ended.
    #[cfg(unix)]
    pub fn shared<T>(&self, work: impl FnOnce() -> T) -> T {
        use rustix::io::{FdFlags, fcntl_setfd};
        let set = |flags| self.file.as_ref().map(|f| fcntl_setfd(f, flags));
        // Where the flag cannot be changed the lock protects all the same, but for the case of a kill.
        let _ = set(FdFlags::empty());
        let out = work();
        let _ = set(FdFlags::CLOEXEC);
        out
    }

    /// Does something while the lock is held.
    #[cfg(not(unix))]
    pub fn shared<T>(&self, work: impl FnOnce() -> T) -> T {
        let _ = &self.file;
        work()
    }
}

#[cfg(unix)]
pub(super) fn lock(path: &Path) -> Result<Option<Lock>, HostError> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let failed = |e| HostError::io(path, e);
    let mut options = fs::OpenOptions::new();
    let file = match options.create(true).truncate(false).write(true).mode(0o600).open(path) {
        // A file that is there can be locked, whether it can be written or not.
        Err(e) if e.kind() == std::io::ErrorKind::ReadOnlyFilesystem => fs::File::open(path).map_err(|_| failed(e))?,
        other => other.map_err(failed)?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file: Some(file) })),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

#[cfg(not(unix))]
pub(super) fn lock(path: &Path) -> Result<Option<Lock>, HostError> {
    let failed = |e| HostError::io(path, e);
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Lock { file: Some(file) })),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(e)) => Err(failed(e)),
    }
}

/// The kernel's random bytes.
pub(super) fn random() -> Result<[u8; 16], HostError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    let read = fs::File::open(path).and_then(|mut f| f.read_exact(&mut bytes));
    read.map(|()| bytes).map_err(|e| HostError::io(path, e))
}

pub(super) fn detach(words: &[OsString]) -> Result<(), HostError> {
    let (program, args) = words.split_first().ok_or_else(|| HostError::Missing { program: String::new() })?;
    let failed = |error| HostError::Program { command: program.display().to_string(), error };
    let mut command = Command::new(program);
    command.args(args).current_dir("/").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    let mut line = String::new();
    if let Some(out) = child.stdout.take() {
        // An end without a line: it could not take itself out of this session, and must not be relied on.
        BufReader::new(out).read_line(&mut line).map_err(failed)?;
    }
    if line.is_empty() {
        // Its exit code is all that is left to be known of it, and that it failed is known already.
        let _ = child.wait();
        return Err(failed(std::io::Error::other("it ended before it was ready")));
    }
    Ok(())
}

#[cfg(unix)]
pub(super) fn leave_session() -> Result<(), HostError> {
    use std::io::Write as _;
    // A process that leads its group already (a unit of a service manager) has a session of its own.
    if let Err(e) = rustix::process::setsid()
        && e != rustix::io::Errno::PERM
    {
        return Err(HostError::Program { command: "setsid".to_owned(), error: e.into() });
    }
    let mut out = std::io::stdout().lock();
    let said = out.write_all(b"ready\n").and_then(|()| out.flush());
    said.map_err(|error| HostError::Program { command: "guard".to_owned(), error })
}

#[cfg(not(unix))]
pub(super) fn leave_session() -> Result<(), HostError> {
    Err(HostError::Missing { program: "setsid".to_owned() })
}

#[cfg(unix)]
pub(super) fn answer(within: Option<std::time::Duration>) -> Result<Option<String>, HostError> {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let input = std::io::stdin();
    if let Some(within) = within {
        let mut fds = [PollFd::new(&input, PollFlags::IN)];
        let time =
            Timespec { tv_sec: within.as_secs().try_into().unwrap_or(i64::MAX), tv_nsec: within.subsec_nanos().into() };
        match poll(&mut fds, Some(&time)) {
            Ok(0) | Err(rustix::io::Errno::INTR) => return Ok(None),
            Ok(_) => {}
            Err(e) => return Err(HostError::io(Path::new("-"), e.into())),
        }
    }
    line(input.lock())
}

#[cfg(not(unix))]
pub(super) fn answer(_within: Option<std::time::Duration>) -> Result<Option<String>, HostError> {
    line(std::io::stdin().lock())
}

/// One line, at most a few hundred bytes of it.
fn line(input: impl std::io::BufRead) -> Result<Option<String>, HostError> {
    let mut text = String::new();
    let read = input.take(512).read_line(&mut text).map_err(|e| HostError::io(Path::new("-"), e))?;
    Ok((read > 0).then_some(text))
}
