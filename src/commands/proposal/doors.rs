//! Who comes in by each interface under a ruleset, on which terms, and by which rule.

use std::collections::BTreeMap;

use crate::access::{Access, Bucket, Limits, Outcome, Path, Pattern, Per, Question, RuleId, Verdict};
use crate::change::Answer;
use crate::net::AddrSet;
use crate::ruleset::{Evaluator, Ruleset};

/// How many networks a sentence names.
const SHOWN: usize = 5;

/// On which terms a source may connect; without either limit: as often as it likes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Terms {
    pub(super) rate: Option<Bucket>,
    pub(super) concurrent: Option<u32>,
}

impl Terms {
    /// The terms of who gets in; none for others, and for a limit by the day, which no profile can say.
    pub(super) fn of(verdict: &Verdict) -> Option<Self> {
        match verdict {
            Verdict::Accept => Some(Self::default()),
            Verdict::Limit { limits: Limits { rate, concurrent, .. }, .. } => {
                rate.is_none_or(|b| b.rate.per != Per::Day).then_some(Self { rate: *rate, concurrent: *concurrent })
            }
            Verdict::Refuse(_) | Verdict::Unknown { .. } => None,
        }
    }

    /// Whether they limit nothing.
    pub(super) fn is_unlimited(self) -> bool {
        self == Self::default()
    }
}

/// Everybody who may connect, by the terms; no address is in two of them.
pub(super) type Grants = BTreeMap<Terms, AddrSet>;

/// Everybody in any of them.
pub(super) fn everybody(grants: &Grants) -> AddrSet {
    grants.values().fold(AddrSet::new(), |all, set| all.union(set))
}

/// Whom a rule lets in.
#[derive(Clone, Debug)]
pub(super) struct Granted {
    /// The rule, as the ruleset names it.
    pub(super) rule: String,
    pub(super) terms: Terms,
    pub(super) sources: AddrSet,
}

/// An interface, or all that a pattern matches and no more special one does.
#[derive(Clone, Debug)]
pub(super) struct Door {
    pub(super) pattern: Pattern,
    /// Whom each rule lets in, in the order of the rules.
    pub(super) granted: Vec<Granted>,
}

impl Door {
    pub(super) fn grants(&self) -> Grants {
        let mut out = Grants::new();
        for granted in &self.granted {
            let set = out.entry(granted.terms).or_default();
            *set = set.union(&granted.sources);
        }
        out
    }
}

/// All interfaces that a ruleset tells apart, for one port.
#[derive(Clone, Debug, Default)]
pub(super) struct Doors {
    pub(super) each: Vec<Door>,
    /// Whether some of it reaches the port by a translation, past this host's own sockets.
    pub(super) forwarded: bool,
    /// The prefix lengths that limits count by, of each family.
    pub(super) prefixes: [Vec<u8>; 2],
    /// What is not in `each`, in sentences.
    pub(super) open: Vec<String>,
}

impl Doors {
    /// Takes the answers for one port apart; of the `silent` sources nothing is known.
    pub(super) fn read(ruleset: &Ruleset, answers: &[Answer], silent: &AddrSet) -> Self {
        let mut out = Self::default();
        let mut evaluator = Evaluator::new(ruleset);
        let mut last: Option<(&Question, Access)> = None;
        // By interface, for the destinations that no rule names; and for the others the same.
        let mut plain: Vec<(Pattern, Parts)> = Vec::new();
        let mut elsewhere: Vec<(Pattern, Vec<String>, Parts)> = Vec::new();
        for answer in answers {
            let access = match last.take() {
                Some((question, access)) if *question == answer.question => access,
                _ => evaluator.trace(&answer.question).access,
            };
            let pattern = pattern_of(answer.asked.interface.as_deref());
            let sources = answer.sources.minus(silent);
            let parts = match &answer.asked.to {
                None => {
                    out.forwarded |= answer.asked.path == Path::Forwarded;
                    of(&mut plain, |(p, _)| *p == pattern, || (pattern.clone(), Parts::default()))
                        .1
                        .add(&access, &sources)
                }
                Some(to) => {
                    let fresh = || (pattern.clone(), to.clone(), Parts::default());
                    of(&mut elsewhere, |(p, t, _)| *p == pattern && t == to, fresh).2.add(&access, &sources)
                }
            };
            out.prefixes.iter_mut().zip(parts).for_each(|(all, more)| all.extend(more));
            last = Some((&answer.question, access));
        }
        for prefixes in &mut out.prefixes {
            prefixes.sort_unstable();
            prefixes.dedup();
        }
        for (pattern, to, parts) in &elsewhere {
            let nobody = Parts::default();
            let usual = plain.iter().find(|(p, _)| p == pattern).map_or(&nobody, |(_, parts)| parts);
            out.open.extend(parts.against(usual, pattern, to));
        }
        for (pattern, parts) in plain {
            let (door, open) = parts.door(pattern, ruleset);
            out.each.push(door);
            for line in open {
                if !out.open.contains(&line) {
                    out.open.push(line);
                }
            }
        }
        out
    }

    /// How the two differ in whom they let in, in one phrase.
    pub(super) fn differs(&self, other: &Self) -> Option<String> {
        let (mine, theirs) = (&self.each, &other.each);
        if self.forwarded != other.forwarded {
            return Some("only one of them is translated to another host".to_owned());
        }
        let nobody = Grants::new();
        let grants = |doors: &[Door], p: &Pattern| doors.iter().find(|d| d.pattern == *p).map(Door::grants);
        for pattern in mine.iter().chain(theirs).map(|d| &d.pattern) {
            let (a, b) = (grants(mine, pattern), grants(theirs, pattern));
            let (a, b) = (a.as_ref().unwrap_or(&nobody), b.as_ref().unwrap_or(&nobody));
            if a == b {
                continue;
            }
            let (ours, others) = (everybody(a), everybody(b));
            let (less, more) = (ours.minus(&others), others.minus(&ours));
            let by = by(pattern);
            return Some(match (less.is_empty(), more.is_empty()) {
                (true, true) => format!("the limits differ{by}"),
                (true, false) => format!("{} more{by}", more.brief(SHOWN)),
                (false, true) => format!("all but {}{by}", less.brief(SHOWN)),
                (false, false) => format!("{} more and {} not{by}", more.brief(SHOWN), less.brief(SHOWN)),
            });
        }
        None
    }
}

/// The element that fits, made if there is none.
fn of<T>(list: &mut Vec<T>, fits: impl FnMut(&T) -> bool, fresh: impl FnOnce() -> T) -> &mut T {
    let at = list.iter().position(fits).unwrap_or_else(|| {
        list.push(fresh());
        list.len() - 1
    });
    &mut list[at]
}

/// The pattern of an interface as reports name it; none: every one that no other pattern matches.
pub(super) fn pattern_of(interface: Option<&str>) -> Pattern {
    interface.map_or_else(|| Pattern::prefix(""), Pattern::parse)
}

/// ` by eth0`, for a sentence; nothing for interfaces that no rule names.
pub(super) fn by(pattern: &Pattern) -> String {
    if pattern.text().is_empty() { String::new() } else { format!(" by {pattern}") }
}

/// What a ruleset says of one interface, put together from the ways that its sources take.
#[derive(Default)]
struct Parts {
    /// Accepted, by the deciding rule (those without one last) and the terms.
    accepted: BTreeMap<(bool, Option<RuleId>, Terms), AddrSet>,
    unknown: Vec<(Outcome, AddrSet)>,
    asked: AddrSet,
}

impl Parts {
    /// Adds an answer, and tells the prefix lengths of its limits.
    fn add(&mut self, access: &Access, asked: &AddrSet) -> [Vec<u8>; 2] {
        let mut prefixes = [Vec::new(), Vec::new()];
        self.asked = self.asked.union(asked);
        for (outcome, sources) in access.groups() {
            let sources = sources.intersect(asked);
            if sources.is_empty() {
                continue;
            }
            let Some(terms) = Terms::of(&outcome.verdict) else {
                match outcome.verdict {
                    Verdict::Unknown { .. } => self.unknown.push((outcome, sources)),
                    Verdict::Limit { .. } => {
                        let because = "a limit by the day, which no profile can say".to_owned();
                        self.unknown.push((Outcome { verdict: Verdict::Unknown { because }, ..outcome }, sources));
                    }
                    Verdict::Accept | Verdict::Refuse(_) => {}
                }
                continue;
            };
            if let Verdict::Limit { limits, .. } = &outcome.verdict {
                let families = [!sources.v4.is_empty(), !sources.v6.is_empty()];
                for (list, _) in prefixes.iter_mut().zip(families).filter(|(_, there)| *there) {
                    list.push(limits.prefix);
                }
            }
            let set = self.accepted.entry((outcome.by.is_none(), outcome.by, terms)).or_default();
            *set = set.union(&sources);
        }
        prefixes
    }

    fn reachable(&self) -> AddrSet {
        self.accepted.values().fold(AddrSet::new(), |all, set| all.union(set))
    }

    /// Who can connect to some destinations and not to those that no rule names, and the other way round.
    fn against(&self, usual: &Self, pattern: &Pattern, to: &[String]) -> Vec<String> {
        let (here, there) = (self.reachable(), usual.reachable().intersect(&self.asked));
        let to = format!("connections{} to {}", by(pattern), to.join(", "));
        let mut out = Vec::new();
        let more = here.minus(&there);
        if !more.is_empty() {
            out.push(format!("{to}: the old rules let in {} there alone", more.brief(SHOWN)));
        }
        let less = there.minus(&here);
        if !less.is_empty() {
            out.push(format!("{to}: the old rules do not let in {} there", less.brief(SHOWN)));
        }
        out
    }

    fn door(self, pattern: Pattern, ruleset: &Ruleset) -> (Door, Vec<String>) {
        let text = |by: Option<RuleId>| {
            by.and_then(|r| ruleset.origin_of(r)).map_or_else(|| "no rule refuses it".to_owned(), ToString::to_string)
        };
        let unknown = self.unknown.iter().filter_map(|(outcome, sources)| match &outcome.verdict {
            Verdict::Unknown { because } => {
                let by = by(&pattern);
                Some(format!("{}{by}: not known ({because}); rule: {}", sources.brief(SHOWN), text(outcome.by)))
            }
            _ => None,
        });
        let open = unknown.collect();
        let granted = self.accepted.into_iter();
        let granted = granted.map(|((_, rule, terms), sources)| Granted { rule: text(rule), terms, sources }).collect();
        (Door { pattern, granted }, open)
    }
}
