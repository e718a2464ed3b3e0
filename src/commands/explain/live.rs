//! What a ruleset does to each source on one way, by which rule: the second half of an explanation.

use serde::Serialize;

use crate::access::{Access, Outcome, OutcomeId, Verdict};
use crate::net::{AddrSet, Cuts, no_source};
use crate::ruleset::Ruleset;

use super::part::word;

/// What a ruleset does, and why.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub(super) struct LiveVerdict {
    pub(super) verdict: &'static str,
    pub(super) rule: Option<String>,
    pub(super) because: Option<String>,
}

impl std::fmt::Display for LiveVerdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "loaded: {}", self.verdict)?;
        if let Some(because) = &self.because {
            write!(f, ", {because}")?;
        }
        match &self.rule {
            Some(rule) => write!(f, " ({rule})"),
            None => Ok(()),
        }
    }
}

/// Both address spaces cut by what a ruleset does; none where nothing is asked.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) v4: Cuts<u32, Option<u32>>,
    pub(super) v6: Cuts<u128, Option<u32>>,
    verdicts: Vec<Option<LiveVerdict>>,
}

impl Live {
    /// No ruleset was asked; addresses from which no connection comes are not asked about.
    pub(super) fn nothing() -> Self {
        let all = Self { v4: Cuts::uniform(Some(0)), v6: Cuts::uniform(Some(0)), verdicts: vec![None] };
        all.without(no_source())
    }

    /// What a traced answer of a ruleset says of some sources.
    pub(super) fn of(access: &Access, ruleset: &Ruleset, sources: &AddrSet) -> Self {
        let mut verdicts: Vec<Option<LiveVerdict>> = Vec::new();
        let mut number = |id: OutcomeId| {
            let verdict = Some(describe(access.outcome(id), ruleset));
            let at = verdicts.iter().position(|v| *v == verdict).unwrap_or_else(|| {
                verdicts.push(verdict);
                verdicts.len() - 1
            });
            Some(at as u32)
        };
        // Few outcomes, many pieces: each outcome is described once.
        let mut known: std::collections::HashMap<OutcomeId, Option<u32>> = std::collections::HashMap::new();
        let mut number = |id| *known.entry(id).or_insert_with(|| number(id));
        let (v4, v6) = (access.v4().map(&mut number), access.v6().map(&mut number));
        Self { v4, v6, verdicts }.without(&sources.complement().union(no_source()))
    }

    fn without(self, sources: &AddrSet) -> Self {
        Self { v4: self.v4.overlay(&sources.v4, None), v6: self.v6.overlay(&sources.v6, None), ..self }
    }

    /// What the ruleset does, by the number in the cuts.
    pub(super) fn verdict(&self, number: u32) -> Option<LiveVerdict> {
        self.verdicts.get(number as usize).cloned().flatten()
    }
}

fn describe(outcome: &Outcome, ruleset: &Ruleset) -> LiveVerdict {
    LiveVerdict {
        verdict: word(&outcome.verdict),
        rule: outcome.by.and_then(|rule| ruleset.origin_of(rule)).map(ToString::to_string),
        because: match &outcome.verdict {
            Verdict::Unknown { because } => Some(because.clone()),
            Verdict::Limit { limits, .. } => Some(format!("at most {limits}")),
            _ => None,
        },
    }
}
