//! Problems of a profile as reports show them, with the files that they point into.

use serde::ser::{Serialize, Serializer};

use crate::diagnostic::{Files, Place, Problem};

/// What a target does otherwise than asked.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize)]
pub(super) struct Deviation {
    /// The target.
    pub(super) target: &'static str,
    /// What, in one sentence.
    pub(super) what: String,
}

/// Problems with the files that they point into.
#[derive(Debug, Default)]
pub struct Problems {
    /// The problems, in the order in which they are shown.
    pub list: Vec<Problem>,
    /// The files.
    pub files: Files,
}

impl Problems {
    /// How many errors and how many warnings.
    pub fn count(&self) -> (usize, usize) {
        let errors = self.list.iter().filter(|p| p.is_error()).count();
        (errors, self.list.len() - errors)
    }

    /// `2 errors and 1 warning`.
    pub fn summary(&self) -> String {
        let count = |n: usize, what| match n {
            0 => None,
            1 => Some(format!("1 {what}")),
            n => Some(format!("{n} {what}s")),
        };
        let (errors, warnings) = self.count();
        let parts: Vec<String> = [count(errors, "error"), count(warnings, "warning")].into_iter().flatten().collect();
        if parts.is_empty() { "no problem".to_owned() } else { parts.join(" and ") }
    }
}

impl Serialize for Problems {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_seq(self.list.iter().map(|p| ProblemObject::new(p, &self.files)))
    }
}

#[derive(serde::Serialize)]
struct ProblemObject<'a> {
    severity: String,
    code: &'static str,
    message: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    end_line: Option<u32>,
    end_column: Option<u32>,
    help: Option<&'a str>,
    fix: Option<Fix<'a>>,
}

#[derive(serde::Serialize)]
struct Fix<'a> {
    replacement: &'a str,
}

impl<'a> ProblemObject<'a> {
    fn new(problem: &'a Problem, files: &'a Files) -> Self {
        let place = problem.place.as_ref();
        let at = |offset: fn(&Place) -> usize| place.map(|p| files.position(p.file, offset(p)));
        let (start, end) = (at(|p| p.span.start), at(|p| p.span.end));
        Self {
            severity: problem.code.severity.to_string(),
            code: problem.code.name,
            message: &problem.message,
            file: place.map(|p| files.get(p.file).name.as_str()),
            line: start.map(|p| p.line),
            column: start.map(|p| p.column),
            end_line: end.map(|p| p.line),
            end_column: end.map(|p| p.column),
            help: problem.help.as_deref(),
            fix: problem.fix.as_deref().map(|replacement| Fix { replacement }),
        }
    }
}
