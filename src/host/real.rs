//! The machine itself.

use std::fs;
use std::io::{self, IsTerminal, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Instant;

use super::{Host, HostError, Lock, Ran, Refused, Run, Stream, Write, generation, process};

/// The machine that the program runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Real;

impl Host for Real {
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn is_terminal(&self, stream: Stream) -> bool {
        match stream {
            Stream::In => io::stdin().is_terminal(),
            Stream::Out => io::stdout().is_terminal(),
            Stream::Err => io::stderr().is_terminal(),
        }
    }

    fn width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stderr())
            .or_else(|_| rustix::termios::tcgetwinsize(io::stdout()))
            .ok()?;
        (size.ws_col > 0).then_some(size.ws_col.into())
    }

    fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, HostError> {
        let failed = |e| HostError::io(path, e);
        let file = open(path).map_err(failed)?;
        // Asked of the opened file, not of the path: nobody can put another one there in between.
        let kind = file.metadata().map_err(failed)?;
        if kind.is_dir() {
            return Err(HostError::Refused { path: path.to_owned(), why: Refused::Directory });
        }
        if !kind.is_file() {
            return Err(HostError::Refused { path: path.to_owned(), why: Refused::Special });
        }
        if kind.len() > limit {
            return Err(HostError::TooLarge { path: path.to_owned(), limit });
        }
        read_bounded(file, path, kind.len() as usize + 1, limit)
    }

    fn stdin(&self, limit: u64) -> Result<Vec<u8>, HostError> {
        read_bounded(io::stdin().lock(), Path::new("-"), 0, limit)
    }

    fn exists(&self, path: &Path) -> bool {
        // A link that leads nowhere is something, too.
        fs::symlink_metadata(path).is_ok()
    }

    fn list(&self, folder: &Path) -> Result<Vec<String>, HostError> {
        let failed = |e| HostError::io(folder, e);
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn make_folder(&self, path: &Path, mode: u32) -> Result<(), HostError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, mode);
        builder.create(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => HostError::io(path, io::ErrorKind::NotADirectory.into()),
            _ => HostError::io(path, e),
        })
    }

    #[cfg(unix)]
    fn is_own_folder(&self, path: &Path) -> Result<(), HostError> {
        use std::os::unix::fs::MetadataExt as _;
        let failed = |e| HostError::io(path, e);
        let refused = |why| Err(HostError::Refused { path: path.to_owned(), why });
        // A link is followed, but only where whoever made it could have made the folder as well.
        let (link, folder) = (fs::symlink_metadata(path).map_err(failed)?, fs::metadata(path).map_err(failed)?);
        let ours = [0, rustix::process::geteuid().as_raw()];
        if !ours.contains(&link.uid()) || !ours.contains(&folder.uid()) {
            return refused(Refused::Foreign);
        }
        if folder.mode() & 0o022 != 0 { refused(Refused::Shared) } else { Ok(()) }
    }

    #[cfg(not(unix))]
    fn is_own_folder(&self, _path: &Path) -> Result<(), HostError> {
        Ok(())
    }

    fn write(&self, files: &[Write<'_>]) -> Result<(), HostError> {
        let mut prepared = Vec::with_capacity(files.len());
        for file in files {
            prepared.push((prepare(*file)?, file.path));
        }
        for (temp, path) in prepared {
            temp.persist(path).map_err(|e| HostError::io(path, e.error))?;
        }
        files.iter().try_for_each(|f| sync_folder(f.path))
    }

    fn create(&self, file: Write<'_>) -> Result<(), HostError> {
        prepare(file)?.persist_noclobber(file.path).map_err(|e| HostError::io(file.path, e.error))?;
        sync_folder(file.path)
    }

    fn remove(&self, path: &Path) -> Result<(), HostError> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HostError::io(path, e)),
            _ => Ok(()),
        }
    }

    fn run(&self, run: &Run) -> Result<Ran, HostError> {
        let failed = |error: io::Error| match error.kind() {
            io::ErrorKind::NotFound => HostError::Missing { program: run.program.display().to_string() },
            _ => HostError::Program { command: run.to_string(), error },
        };
        let mut command = Command::new(&run.program);
        command.args(&run.args).env("LC_ALL", "C").env("PATH", search_path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that the children of a program that is ended end with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(failed)?;
        let outcome = attend(&mut child, run);
        if !matches!(outcome, Ok(Some(_))) {
            end(&mut child);
        }
        match outcome {
            Ok(Some(ran)) => Ok(ran),
            Ok(None) => Err(HostError::TimedOut { command: run.to_string(), seconds: run.time.as_secs() }),
            Err(Attend::TooMuch) => Err(HostError::TooMuch { command: run.to_string(), limit: run.output }),
            Err(Attend::Io(error)) => Err(HostError::Program { command: run.to_string(), error }),
        }
    }

    fn identity(&self, path: &Path) -> PathBuf {
        fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
    }

    fn system(&self) -> &str {
        std::env::consts::OS
    }

    fn remove_folder(&self, path: &Path) -> Result<(), HostError> {
        match fs::remove_dir(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(HostError::io(path, e)),
            _ => Ok(()),
        }
    }

    fn lock(&self, path: &Path) -> Result<Option<Lock>, HostError> {
        process::lock(path)
    }

    fn generation(&self) -> Option<u32> {
        generation::read()
    }

    fn random(&self) -> Result<[u8; 16], HostError> {
        process::random()
    }

    fn this_program(&self) -> Result<PathBuf, HostError> {
        std::env::current_exe().map_err(|e| HostError::io(Path::new("/proc/self/exe"), e))
    }

    fn detach(&self, words: &[std::ffi::OsString]) -> Result<(), HostError> {
        process::detach(words)
    }

    fn leave_session(&self) -> Result<(), HostError> {
        process::leave_session()
    }

    fn answer(&self, within: Option<std::time::Duration>) -> Result<Option<String>, HostError> {
        process::answer(within)
    }

    fn sleep(&self, time: std::time::Duration) {
        std::thread::sleep(time);
    }
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<fs::File> {
    use rustix::fs::{Mode, OFlags};
    // Without O_NONBLOCK, opening a FIFO waits for somebody to write; a terminal must not become ours.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    Ok(fs::File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<fs::File> {
    fs::File::open(path)
}

fn read_bounded(from: impl Read, path: &Path, capacity: usize, limit: u64) -> Result<Vec<u8>, HostError> {
    let mut content = Vec::with_capacity(capacity);
    from.take(limit.saturating_add(1)).read_to_end(&mut content).map_err(|e| HostError::io(path, e))?;
    if content.len() as u64 > limit {
        return Err(HostError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(content)
}

/// The folder that a file is in: `.` for a bare name.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Writes the content beside its place, to the disk. What is not put into its place removes itself.
fn prepare(file: Write<'_>) -> Result<tempfile::NamedTempFile, HostError> {
    let failed = |e| HostError::io(file.path, e);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".harden993-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(file.mode));
    let mut temp = builder.tempfile_in(folder(file.path)).map_err(failed)?;
    temp.write_all(file.content).and_then(|()| temp.as_file().sync_all()).map_err(failed)?;
    Ok(temp)
}

/// A rename is on the disk once its folder is.
fn sync_folder(path: &Path) -> Result<(), HostError> {
    #[cfg(unix)]
    fs::File::open(folder(path)).and_then(|f| f.sync_all()).map_err(|e| HostError::io(path, e))?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

/// `PATH`, and the folders in which systems keep their firewall tools: an ordinary user's `PATH` often lacks them.
fn search_path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    if cfg!(unix) {
        path.push(if path.is_empty() { "" } else { ":" });
        path.push("/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin");
    }
    path
}

/// Why a program is not listened to any longer.
enum Attend {
    TooMuch,
    Io(io::Error),
}

/// What one of the two readers has come to.
enum Heard {
    Out(io::Result<Option<Vec<u8>>>),
    Err(io::Result<Option<Vec<u8>>>),
}

/// Feeds a program and listens to it; none if its time is over.
fn attend(child: &mut Child, run: &Run) -> Result<Option<Ran>, Attend> {
    let end = Instant::now() + run.time;
    if let Some(mut stdin) = child.stdin.take() {
        let input = run.input.clone();
        // A program that does not read its input is not wrong; what it says and its code tell.
        std::thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
    }
    let (send, receive) = mpsc::channel();
    listen(child.stdout.take(), run.output, Heard::Out, send.clone());
    listen(child.stderr.take(), run.output, Heard::Err, send);
    let (mut stdout, mut stderr) = (None, None);
    while stdout.is_none() || stderr.is_none() {
        let Some(heard) = next(&receive, end)? else { return Ok(None) };
        let (slot, content) = match heard {
            Heard::Out(c) => (&mut stdout, c),
            Heard::Err(c) => (&mut stderr, c),
        };
        *slot = Some(content.map_err(Attend::Io)?.ok_or(Attend::TooMuch)?);
    }
    // Both streams are closed: the program is ending, or has gone on in silence.
    let mut pause = std::time::Duration::from_micros(100);
    loop {
        if let Some(status) = child.try_wait().map_err(Attend::Io)? {
            let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
            return Ok(Some(Ran { code: status.code(), stdout, stderr }));
        }
        if Instant::now() >= end {
            return Ok(None);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(std::time::Duration::from_millis(20));
    }
}

fn next(receive: &Receiver<Heard>, end: Instant) -> Result<Option<Heard>, Attend> {
    match receive.recv_timeout(end.saturating_duration_since(Instant::now())) {
        Ok(heard) => Ok(Some(heard)),
        Err(RecvTimeoutError::Timeout) => Ok(None),
        Err(RecvTimeoutError::Disconnected) => Err(Attend::Io(io::ErrorKind::UnexpectedEof.into())),
    }
}

fn listen<R: Read + Send + 'static>(
    from: Option<R>,
    limit: u64,
    heard: fn(io::Result<Option<Vec<u8>>>) -> Heard,
    send: Sender<Heard>,
) {
    std::thread::spawn(move || {
        let mut content = Vec::new();
        let read = from.map_or(Ok(0), |f| f.take(limit.saturating_add(1)).read_to_end(&mut content));
        // Nobody listens any more if the time was over.
        let _ = send.send(heard(read.map(|_| (content.len() as u64 <= limit).then_some(content))));
    });
}

/// Ends a program and its children.
fn end(child: &mut Child) {
    #[cfg(unix)]
    if let Some(group) = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw) {
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.kill();
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_program_gets_its_input_and_says_its_code() {
        let ran = Real.run(&Run::new("sh", ["-c", "cat; echo no >&2; exit 7"]).input("yes")).unwrap();
        assert_eq!((ran.code, &ran.stdout[..], ran.complaint().as_str()), (Some(7), &b"yes"[..], "no"));
        assert!(!ran.success());
    }

    #[test]
    fn a_program_is_bounded() {
        let endless = Run { output: 1000, ..Run::new("sh", ["-c", "yes"]) };
        assert!(matches!(Real.run(&endless), Err(HostError::TooMuch { limit: 1000, .. })));
        // The child keeps the stream open; the group is ended with it.
        let sleeping = Run::new("sh", ["-c", "sleep 1000 & wait"]).time(Duration::from_millis(50));
        assert!(matches!(Real.run(&sleeping), Err(HostError::TimedOut { .. })));
        let missing = Real.run(&Run::new("harden993-no-such-program", [""; 0]));
        assert_eq!(missing.unwrap_err().to_string(), "harden993-no-such-program: no such program");
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        fs::write(&path, "12345").unwrap();
        assert_eq!(Real.read(&path, 5).unwrap(), b"12345");
        assert!(matches!(Real.read(&path, 4), Err(HostError::TooLarge { limit: 4, .. })));
        assert!(matches!(Real.read(dir.path(), 5), Err(HostError::Refused { why: Refused::Directory, .. })));
        assert!(matches!(Real.read(Path::new("/dev/null"), 5), Err(HostError::Refused { why: Refused::Special, .. })));
        let fifo = dir.path().join("fifo");
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RUSR).unwrap();
        assert!(matches!(Real.read(&fifo, 5), Err(HostError::Refused { why: Refused::Special, .. })));
        let none = Real.read(&dir.path().join("none"), 5).unwrap_err();
        assert_eq!((none.kind(), none.reason().as_str()), (Some(io::ErrorKind::NotFound), "no such file"));
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_or_created_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        let file = |content| Write { path: &path, content, mode: 0o640 };
        Real.create(file(b"one")).unwrap();
        assert_eq!(Real.create(file(b"two")).unwrap_err().kind(), Some(io::ErrorKind::AlreadyExists));
        assert_eq!(fs::read(&path).unwrap(), b"one");
        Real.write(&[file(b"three")]).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"three");
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&path).unwrap().permissions()) & 0o777, 0o640);
        // Nothing is left beside it, and one that cannot be prepared leaves the other alone.
        let other = dir.path().join("no/such/folder");
        assert!(Real.write(&[file(b"four"), Write { path: &other, content: b"", mode: 0o600 }]).is_err());
        assert_eq!(
            (fs::read(&path).unwrap(), Real.list(dir.path()).unwrap()),
            (b"three".to_vec(), vec!["file".into()])
        );
    }
}
