//! Every code that a problem can have. The comment at a code is its documentation: `docs/problems.md` is made from it.

use std::fmt;

/// How severe a problem is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// The profile is not used.
    Error,
    /// The profile is used, and somebody should look at it. `[check] allow` silences it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// A kind of problem.
#[derive(PartialEq, Eq, Debug)]
pub struct Code {
    /// Its stable name, in kebab case.
    pub name: &'static str,
    /// How severe it is.
    pub severity: Severity,
    /// What it is, in one line.
    pub summary: &'static str,
    /// Why it matters and what to do about it: a few sentences of Markdown, each line starting with one blank.
    pub explanation: &'static str,
}

/// The code of a name.
pub fn code(name: &str) -> Option<&'static Code> {
    CATALOGUE.iter().copied().find(|c| c.name == name)
}

macro_rules! catalogue {
    ($($(#[doc = $doc:literal])+ $id:ident = $name:literal, $severity:ident, $summary:literal;)+) => {
        /// The codes by their names in the program.
        pub mod codes {
            use super::{Code, Severity};
            $($(#[doc = $doc])+ pub static $id: Code = Code {
                name: $name,
                severity: Severity::$severity,
                summary: $summary,
                explanation: concat!($($doc, "\n"),+),
            };)+
        }

        /// Every code: first the errors, then the warnings.
        pub static CATALOGUE: &[&Code] = &[$(&codes::$id),+];
    };
}

catalogue! {
    /// The file is not TOML. The message says what was expected where.
    SYNTAX = "syntax", Error, "the file is not valid TOML";
}
