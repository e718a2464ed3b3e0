//! What a change of rules does, as addresses: who gains, loses or keeps access, and whose limits change.

use crate::access::{Outcome, Question, Verdict};
use crate::net::AddrSet;
use crate::ruleset::Ruleset;

use super::{Asked, Scope, Unknown, ask};

/// The effect of a change, for one question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Effect {
    /// What was asked.
    pub asked: Asked,
    /// The question itself.
    pub question: Question,
    /// Who could not connect before and can afterwards.
    pub gained: AddrSet,
    /// Who could connect before and cannot afterwards.
    pub lost: AddrSet,
    /// Who could connect without limits and stands under limits afterwards.
    pub limited: AddrSet,
    /// Who stood under limits and does not afterwards.
    pub unlimited: AddrSet,
    /// Who stands under other limits afterwards.
    pub relimited: AddrSet,
    /// Of whom it cannot be told whether anything changes, and why.
    pub unknown: Vec<Unknown>,
}

/// One of the lists of an effect.
type List = fn(&Effect) -> &AddrSet;

impl Effect {
    /// The lists of an effect by their names in reports.
    pub const LISTS: [(&'static str, List); 5] = [
        ("gained", |e| &e.gained),
        ("lost", |e| &e.lost),
        ("limited", |e| &e.limited),
        ("unlimited", |e| &e.unlimited),
        ("relimited", |e| &e.relimited),
    ];

    /// Whether nobody is affected, as far as can be told.
    pub fn is_empty(&self) -> bool {
        Self::LISTS.iter().all(|(_, list)| list(self).is_empty()) && self.unknown.is_empty()
    }
}

/// The effect of replacing one ruleset by another. What both leave open in the same way is not an effect.
pub fn effect(before: &Ruleset, after: &Ruleset, scope: &Scope) -> Vec<Effect> {
    let answers = ask(&[before, after], scope);
    let effects = answers.into_iter().filter_map(|answer| {
        let [old, new] = &answer.accesses[..] else { return None };
        // The kind of change of each source, told apart on both answers at once.
        let both = old.zip(new, |a, b| change(a, b).map_or_else(|| Verdict::Accept.into(), Change::outcome));
        let pick = |change: Change| both.select(|o| *o == change.outcome()).intersect(&answer.sources);
        let open = pick(Change::Unknown);
        let mut unknown = Unknown::of(new, after, &open);
        let told = unknown.iter().fold(AddrSet::new(), |set, u| set.union(&u.sources.0));
        unknown.extend(Unknown::of(old, before, &open.minus(&told)));
        Some(Effect {
            gained: pick(Change::Gained),
            lost: pick(Change::Lost),
            limited: pick(Change::Limited),
            unlimited: pick(Change::Unlimited),
            relimited: pick(Change::Relimited),
            unknown,
            asked: answer.asked,
            question: answer.question,
        })
    });
    effects.collect()
}

/// What a change of rules is to one source.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    Gained,
    Lost,
    Limited,
    Unlimited,
    Relimited,
    Unknown,
}

impl Change {
    /// The change as an outcome, so that an [`Access`] can hold a partition into changes.
    fn outcome(self) -> Outcome {
        let word = match self {
            Self::Gained => "gained",
            Self::Lost => "lost",
            Self::Limited => "limited",
            Self::Unlimited => "unlimited",
            Self::Relimited => "relimited",
            Self::Unknown => "unknown",
        };
        Verdict::Unknown { because: word.to_owned() }.into()
    }
}

fn change(old: &Outcome, new: &Outcome) -> Option<Change> {
    match (&old.verdict, &new.verdict) {
        (a, b) if a == b => None,
        (Verdict::Unknown { .. }, _) | (_, Verdict::Unknown { .. }) => Some(Change::Unknown),
        (Verdict::Accept, Verdict::Accept) | (Verdict::Refuse(_), Verdict::Refuse(_)) => None,
        (Verdict::Refuse(_), _) => Some(Change::Gained),
        (_, Verdict::Refuse(_)) => Some(Change::Lost),
        (Verdict::Accept, Verdict::Limit { .. }) => Some(Change::Limited),
        (Verdict::Limit { .. }, Verdict::Accept) => Some(Change::Unlimited),
        (Verdict::Limit { limits: a, .. }, Verdict::Limit { limits: b, .. }) => (a != b).then_some(Change::Relimited),
    }
}
