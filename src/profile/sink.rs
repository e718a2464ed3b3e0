//! Collects the problems of a profile: at most twenty of one code in one file, then how many more there are.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::diagnostic::{Code, FileId, Place, Problem, Severity};

/// How many problems of one code are shown for one file.
const SHOWN: usize = 20;

/// The problems so far.
#[derive(Default)]
pub(super) struct Sink {
    found: BTreeMap<(FileId, &'static str), Found>,
    errors: bool,
}

/// What was found of one code in one file.
struct Found {
    code: &'static Code,
    count: usize,
    /// The first ones by their place.
    shown: Vec<Problem>,
    /// The first place that is not shown.
    next: Option<Place>,
    /// Whether the search was given up before its end.
    open: bool,
}

/// The order of places in one file.
fn start(place: Option<&Place>) -> (usize, usize) {
    place.map_or((0, 0), |p| (p.span.start, p.span.end))
}

impl Sink {
    /// Notes a problem. Its words are only made if it may be shown; what was said of the place before is not repeated.
    pub(super) fn report(
        &mut self,
        code: &'static Code,
        file: FileId,
        span: Range<usize>,
        words: impl FnOnce(Problem) -> Problem,
    ) {
        self.errors |= code.severity == Severity::Error;
        let found = self.found.entry((file, code.name)).or_insert(Found {
            code,
            count: 0,
            shown: Vec::new(),
            next: None,
            open: false,
        });
        let place = Place::new(file, span.clone());
        let full = found.shown.len() == SHOWN;
        let after = found.shown.last().is_some_and(|p| start(p.place.as_ref()) < start(Some(&place)));
        if full && after {
            found.count += 1;
            if found.next.as_ref().is_none_or(|n| start(Some(n)) > start(Some(&place))) {
                found.next = Some(place);
            }
            return;
        }
        let problem = words(Problem::new(code, code.summary).at(file, span));
        let at = found.shown.partition_point(|p| start(p.place.as_ref()) < start(Some(&place)));
        if found.shown.contains(&problem) {
            return;
        }
        found.count += 1;
        found.shown.insert(at, problem);
        if full {
            found.next = found.shown.pop().and_then(|p| p.place);
        }
    }

    /// Notes that there may be more of a code in a file than were looked for.
    pub(super) fn unfinished(&mut self, code: &'static Code, file: FileId) {
        if let Some(found) = self.found.get_mut(&(file, code.name)) {
            found.open = true;
        }
    }

    /// Whether something makes the profile invalid.
    pub(super) fn has_errors(&self) -> bool {
        self.errors
    }

    /// Everything, by file and place, but for the warnings of the given codes.
    pub(super) fn finish(self, allow: &[&'static Code]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for Found { code, count, shown, next, open } in self.found.into_values() {
            if code.severity == Severity::Warning && allow.contains(&code) {
                continue;
            }
            let more = count - shown.len();
            problems.extend(shown);
            if let Some(Place { file, span }) = next {
                let least = if open { "at least " } else { "" };
                let message = format!("{least}{more} more of these in this file are not shown");
                problems.push(Problem::new(code, message).at(file, span));
            }
        }
        let key = |p: &Problem| (p.place.as_ref().map(|p| p.file), start(p.place.as_ref()));
        problems.sort_by_key(key);
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::codes;

    #[test]
    fn twenty_and_a_count() {
        let mut sink = Sink::default();
        for i in (0..50).rev() {
            sink.report(&codes::HOST_NAME, FileId(0), i..i + 1, |p| p);
        }
        sink.report(&codes::HOST_NAME, FileId(1), 0..1, |p| p);
        sink.report(&codes::OVERLAP, FileId(0), 0..1, |p| p);
        assert!(sink.has_errors());
        let problems = sink.finish(&[&codes::OVERLAP, &codes::HOST_NAME]);
        assert_eq!(problems.len(), 22);
        let spans: Vec<_> = problems.iter().map(|p| p.place.as_ref().unwrap().span.start).collect();
        assert_eq!(spans[..21], (0..21).collect::<Vec<_>>());
        assert_eq!(problems[20].message, "30 more of these in this file are not shown");
        assert!(problems.windows(2).all(|w| w[0].place.as_ref().unwrap().file <= w[1].place.as_ref().unwrap().file));
    }
}
