//! A page: what a report says to people, as data. It names the meaning of each piece of text; the looks are decided later.

use std::fmt;

use super::problems::Problems;

/// What a piece of text means.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum Role {
    /// Running text.
    #[default]
    Plain,
    /// What the line is about.
    Strong,
    /// What may be overlooked.
    Dim,
    /// Somebody gets in; all is well.
    Good,
    /// It needs a look.
    Warn,
    /// Somebody is refused; something is wrong.
    Bad,
    /// A line that a diff adds.
    Added,
    /// A line that a diff takes away.
    Removed,
    /// The words of an added line that are new.
    AddedWords,
    /// The words of a removed line that are gone.
    RemovedWords,
}

/// A piece of text of one meaning. Control characters in it are shown as escapes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Text {
    /// What it means.
    pub role: Role,
    /// The text.
    pub text: String,
}

/// A line of pieces.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Line(pub Vec<Text>);

impl Line {
    /// An empty line.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// The line with one piece more.
    #[must_use]
    pub fn with(mut self, role: Role, text: impl fmt::Display) -> Self {
        self.0.push(Text { role, text: text.to_string() });
        self
    }

    /// The line with running text added.
    #[must_use]
    pub fn plain(self, text: impl fmt::Display) -> Self {
        self.with(Role::Plain, text)
    }

    /// The line with its subject added.
    #[must_use]
    pub fn strong(self, text: impl fmt::Display) -> Self {
        self.with(Role::Strong, text)
    }

    /// The line with something that may be overlooked.
    #[must_use]
    pub fn dim(self, text: impl fmt::Display) -> Self {
        self.with(Role::Dim, text)
    }

    /// The number of characters.
    pub fn width(&self) -> usize {
        self.0.iter().map(|t| t.text.chars().count()).sum()
    }
}

impl<T: fmt::Display> From<T> for Line {
    fn from(text: T) -> Self {
        Self::new().plain(text)
    }
}

/// A part of a page.
#[derive(Debug)]
pub enum Block {
    /// A line.
    Line(Line),
    /// Rows whose cells stand in columns.
    Table(Vec<Vec<Line>>),
    /// Problems of a profile, each with its marked source.
    Problems(Problems),
    /// Text that is printed as it is, byte for byte: a rendering, a list, a page of a manual.
    Verbatim(String),
}

/// What a report says to people.
#[derive(Debug, Default)]
pub struct Page {
    /// Its parts, from the top.
    pub blocks: Vec<Block>,
}

impl Page {
    /// An empty page.
    pub const fn new() -> Self {
        Self { blocks: Vec::new() }
    }

    /// A page that is one text, byte for byte.
    pub fn verbatim(text: impl Into<String>) -> Self {
        Self { blocks: vec![Block::Verbatim(text.into())] }
    }

    /// Adds a line.
    pub fn line(&mut self, line: impl Into<Line>) -> &mut Self {
        self.blocks.push(Block::Line(line.into()));
        self
    }

    /// Adds rows whose cells stand in columns.
    pub fn table(&mut self, rows: Vec<Vec<Line>>) -> &mut Self {
        self.blocks.push(Block::Table(rows));
        self
    }

    /// Adds problems, each with its marked source.
    pub fn problems(&mut self, problems: Problems) -> &mut Self {
        if !problems.list.is_empty() {
            self.blocks.push(Block::Problems(problems));
        }
        self
    }

    /// Adds an empty line, unless the page is empty.
    pub fn gap(&mut self) -> &mut Self {
        if !self.blocks.is_empty() {
            self.line(Line::new());
        }
        self
    }
}

/// Whether a character could command a terminal or turn what is read: control characters, and the marks that change the
/// direction in which text is shown (Unicode UAX #9).
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
