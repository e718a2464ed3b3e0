//! Where files come from: the disk, or whatever the caller keeps them in.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// The largest file that is read, in bytes. A list of thirty million networks fits.
pub const MAX_FILE: u64 = 512 << 20;

/// What a profile's files are read from. A function from a path to its content is one.
pub trait Store {
    /// The content of a file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// A path that is the same for every spelling of the same file, so that a file is read once and a circle is seen.
    fn identity(&self, path: &Path) -> PathBuf {
        normal(path)
    }
}

impl<F: Fn(&Path) -> io::Result<Vec<u8>>> Store for F {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self(path)
    }
}

/// The disk. Only regular files are read, and only up to [`MAX_FILE`]: a FIFO or a device would never end.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Store for Disk {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        // Asked before opening, because opening a FIFO already waits for its writer; and again afterwards, of what is open.
        regular(&fs::metadata(path)?)?;
        let file = File::open(path)?;
        let size = regular(&file.metadata()?)?;
        let mut content = Vec::with_capacity(size as usize + 1);
        file.take(MAX_FILE + 1).read_to_end(&mut content)?;
        if content.len() as u64 > MAX_FILE { Err(too_large()) } else { Ok(content) }
    }

    fn identity(&self, path: &Path) -> PathBuf {
        fs::canonicalize(path).unwrap_or_else(|_| normal(path))
    }
}

/// The size of a regular file that is not too large.
fn regular(meta: &fs::Metadata) -> io::Result<u64> {
    if meta.is_dir() {
        return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
    }
    if !meta.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "it is no regular file (a FIFO, a socket or a device)",
        ));
    }
    if meta.len() > MAX_FILE { Err(too_large()) } else { Ok(meta.len()) }
}

fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {} MiB", MAX_FILE >> 20))
}

/// A path without `.`, and with `..` taken away together with what it leaves.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if matches!(out.components().next_back(), Some(Component::Normal(_))) => {
                out.pop();
            }
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_a_path() {
        let is = |a: &str, b: &str| assert_eq!(normal(Path::new(a)), Path::new(b));
        is("./a/./b", "a/b");
        is("a/../b", "b");
        is("../../a", "../../a");
        is("/a/b/../../c", "/c");
    }

    #[test]
    fn only_regular_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Disk.read(dir.path()).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        assert_eq!(Disk.read(&dir.path().join("none")).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Disk.read(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        assert_eq!(Disk.read(&fifo).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        assert_eq!(Disk.read(&file).unwrap(), b"x");
        let huge = dir.path().join("huge");
        File::create(&huge).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert_eq!(Disk.read(&huge).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }
}
