//! The law, asked of one rendering: what is read back answers every question as the policy does.

use std::fmt;

use crate::access::{Difference, Meetings, Question, Verdict};
use crate::ruleset::{Evaluator, Ruleset};

use super::{File, Job, Listing, RenderError, Target};

/// A question on which a rendering and its policy disagree.
#[derive(Clone, PartialEq, Debug)]
pub struct Disagreement {
    /// The question.
    pub question: Question,
    /// The first difference: on the left what the policy says, on the right what the rules do.
    pub difference: Difference,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Difference { sources, left, right } = &self.difference;
        let shown = sources.brief(5);
        write!(f, "{}: {shown}: the profile says {left}, the rules say {right}", self.question)
    }
}

/// Proves a rendering: reads it back and asks every question that the policy can tell apart. The files are as they were
/// afterwards; they are lent to the reader, since a large one is not worth a copy.
pub fn prove(target: &dyn Target, job: &Job<'_>, files: &mut [File]) -> Result<(), RenderError> {
    for file in files {
        let listing = Listing::of_text(std::mem::take(&mut file.content));
        let proved = match target.read(&listing) {
            Ok(ruleset) => disprove(target, job, &ruleset).map_or(Ok(()), |d| Err(RenderError::Disproved(Box::new(d)))),
            Err(e) => Err(RenderError::Unreadable(e)),
        };
        file.content = listing.sections.into_iter().map(|s| s.text).next().unwrap_or_default();
        proved?;
    }
    Ok(())
}

/// The first question on which a ruleset and a policy disagree.
fn disprove(target: &dyn Target, job: &Job<'_>, ruleset: &Ruleset) -> Option<Disagreement> {
    let (mut evaluator, mut known) = (Evaluator::new(ruleset), Meetings::default());
    for question in job.policy.questions() {
        let expected = target.expected(job.policy, job.settings, &question);
        let found = evaluator.ask(&question);
        if expected.agrees(&found, &mut known) {
            continue;
        }
        // What a target leaves open is no promise that could be broken.
        let open = |d: &Difference| matches!(d.left.verdict, Verdict::Unknown { .. });
        let mut differences = expected.differences(&found).into_iter().filter(|d| !open(d));
        let ours = differences.find(|d| match job.family {
            None => true,
            Some(crate::net::Family::V4) => !d.sources.v4.is_empty(),
            Some(crate::net::Family::V6) => !d.sources.v6.is_empty(),
        });
        if let Some(difference) = ours {
            return Some(Disagreement { question, difference });
        }
    }
    None
}
