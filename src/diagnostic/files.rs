//! The files that problems point into: names, contents, and offsets turned into lines and columns.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A file by its number in [`Files`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FileId(pub u32);

/// A place in a file as people count it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// The line, counted from 1.
    pub line: u32,
    /// The column, counted from 1 in characters; a byte that is no UTF-8 counts as one.
    pub column: u32,
}

/// One file that was read, or could not be.
#[derive(Debug)]
pub struct SourceFile {
    /// How messages name it.
    pub name: String,
    /// Where it was read from.
    pub path: PathBuf,
    /// What it holds; nothing, if it could not be read.
    pub content: Vec<u8>,
    /// Whether it was read at all.
    pub read: bool,
    lines: OnceLock<Vec<usize>>,
}

impl SourceFile {
    /// The offsets at which lines start. Found once, when the first problem asks.
    fn lines(&self) -> &[usize] {
        self.lines.get_or_init(|| {
            let ends = self.content.iter().enumerate().filter(|(_, b)| **b == b'\n').map(|(i, _)| i + 1);
            std::iter::once(0).chain(ends).collect()
        })
    }

    /// The line and column of a byte offset (one past the end is allowed).
    pub fn position(&self, offset: usize) -> Position {
        let offset = offset.min(self.content.len());
        let line = self.line_of(offset);
        let before = &self.content[self.lines()[line as usize - 1]..offset];
        let column = before.utf8_chunks().map(|c| c.valid().chars().count() + c.invalid().len()).sum::<usize>();
        Position { line, column: column as u32 + 1 }
    }

    /// The line of a byte offset, without the column, which costs a walk through the line.
    pub fn line_of(&self, offset: usize) -> u32 {
        self.lines().partition_point(|s| *s <= offset).max(1) as u32
    }

    /// The bytes of a line (counted from 1) without its end, and the offset at which it starts.
    pub fn line(&self, line: u32) -> (usize, &[u8]) {
        let starts = self.lines();
        let Some(start) = starts.get((line.max(1) - 1) as usize).copied() else { return (self.content.len(), b"") };
        let end = starts.get(line.max(1) as usize).map_or(self.content.len(), |next| next - 1);
        let text = &self.content[start..end];
        (start, text.strip_suffix(b"\r").unwrap_or(text))
    }
}

/// Every file of a profile, in the order in which they were read; the profile itself is the first.
#[derive(Debug, Default)]
pub struct Files {
    list: Vec<SourceFile>,
}

impl Files {
    /// Adds a file; `None` for one that could not be read.
    pub fn add(&mut self, name: String, path: PathBuf, content: Option<Vec<u8>>) -> FileId {
        let read = content.is_some();
        self.list.push(SourceFile { name, path, content: content.unwrap_or_default(), read, lines: OnceLock::new() });
        FileId((self.list.len() - 1) as u32)
    }

    /// A file by its number.
    pub fn get(&self, id: FileId) -> &SourceFile {
        &self.list[id.0 as usize]
    }

    /// Every file.
    pub fn iter(&self) -> impl Iterator<Item = &SourceFile> {
        self.list.iter()
    }

    /// Every file that was read, with its content: what a profile consists of.
    pub fn closure(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.list.iter().filter(|f| f.read).map(|f| (f.path.as_path(), f.content.as_slice()))
    }

    /// The line and column of an offset in a file.
    pub fn position(&self, file: FileId, offset: usize) -> Position {
        self.get(file).position(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let mut files = Files::default();
        let id = files.add("p".into(), "p".into(), Some(b"a\n\xc3\xa4b\r\n\xffz".to_vec()));
        let at = |n| files.position(id, n);
        assert_eq!(at(0), Position { line: 1, column: 1 });
        assert_eq!(at(1), Position { line: 1, column: 2 });
        assert_eq!(at(2), Position { line: 2, column: 1 });
        assert_eq!(at(4), Position { line: 2, column: 2 });
        assert_eq!(at(8), Position { line: 3, column: 2 });
        assert_eq!(at(900), Position { line: 3, column: 3 });
        assert_eq!(files.get(id).line(2), (2, "äb".as_bytes()));
        assert_eq!(files.get(id).line(3), (7, &b"\xffz"[..]));
        assert_eq!(files.get(id).line(9), (9, &b""[..]));
    }

    #[test]
    fn a_file_that_was_not_read_is_no_part_of_the_profile() {
        let mut files = Files::default();
        let id = files.add("gone".into(), "gone".into(), None);
        assert_eq!(files.position(id, 0), Position { line: 1, column: 1 });
        assert_eq!(files.closure().count(), 0);
    }
}
