//! One problem of one profile: which code, where, what is wrong and what to write instead.

use std::ops::Range;

use super::{Code, FileId, Severity};

/// Bytes of a file.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// The file.
    pub file: FileId,
    /// The bytes from `start` to before `end`.
    pub span: Range<usize>,
}

impl Place {
    /// A place.
    pub fn new(file: FileId, span: Range<usize>) -> Self {
        Self { file, span }
    }
}

/// A second place that a problem is about, with what is to be seen there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// The place.
    pub place: Place,
    /// What is there, in a few words.
    pub text: String,
}

/// Something that is wrong with a profile, or unwise.
#[derive(Clone, PartialEq, Debug)]
pub struct Problem {
    /// Its code, which says how severe it is.
    pub code: &'static Code,
    /// What is wrong, one sentence without a full stop.
    pub message: String,
    /// Where; none where no file is to blame.
    pub place: Option<Place>,
    /// Further places.
    pub labels: Vec<Label>,
    /// The way out, one sentence without a full stop.
    pub help: Option<String>,
    /// The text to put in the place of the marked one, where it is certain what was meant.
    pub fix: Option<String>,
}

impl Problem {
    /// A problem without a place.
    pub fn new(code: &'static Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), place: None, labels: Vec::new(), help: None, fix: None }
    }

    /// The same problem in other words.
    #[must_use]
    pub fn say(mut self, message: impl Into<String>) -> Self {
        self.message = message.into();
        self
    }

    /// The same problem at a place.
    #[must_use]
    pub fn at(mut self, file: FileId, span: Range<usize>) -> Self {
        self.place = Some(Place::new(file, span));
        self
    }

    /// The same problem with a further place.
    #[must_use]
    pub fn label(mut self, file: FileId, span: Range<usize>, text: impl Into<String>) -> Self {
        self.labels.push(Label { place: Place::new(file, span), text: text.into() });
        self
    }

    /// The same problem with a way out.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same problem with the text that belongs in the marked place.
    #[must_use]
    pub fn fix(mut self, replacement: impl Into<String>) -> Self {
        self.fix = Some(replacement.into());
        self
    }

    /// Whether it makes the profile invalid.
    pub fn is_error(&self) -> bool {
        self.code.severity == Severity::Error
    }
}
