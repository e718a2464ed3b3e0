//! Access: for one question, the outcome for every source, as a partition of both address spaces.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::net::{Addr, AddrSet, Cuts, Family, Meeting, Ranges, no_source};

use super::{Outcome, Verdict};

/// An outcome of an [`Access`], as a number into its table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OutcomeId(pub u32);

/// For one question, what happens to a packet from each source. Sources from which no connection can come are outside of
/// every comparison.
#[derive(Clone, Debug)]
pub struct Access {
    v4: Cuts<u32, OutcomeId>,
    v6: Cuts<u128, OutcomeId>,
    outcomes: Vec<Outcome>,
}

/// What is known of the maps of answers that were compared.
#[derive(Debug, Default)]
pub struct Meetings {
    v4: Vec<Meeting<u32>>,
    v6: Vec<Meeting<u128>>,
}

/// Where two answers differ.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The sources that both answers treat as here.
    pub sources: AddrSet,
    /// What the first answer says of them.
    pub left: Outcome,
    /// What the second answer says of them.
    pub right: Outcome,
}

impl Access {
    /// An answer from its parts; every number must be inside of the table.
    pub fn new(v4: Cuts<u32, OutcomeId>, v6: Cuts<u128, OutcomeId>, outcomes: Vec<Outcome>) -> Self {
        debug_assert!(
            v4.iter().all(|c| (c.class.0 as usize) < outcomes.len())
                && v6.iter().all(|c| (c.class.0 as usize) < outcomes.len())
        );
        Self { v4, v6, outcomes }
    }

    /// The same outcome for everybody.
    pub fn uniform(outcome: impl Into<Outcome>) -> Self {
        Self { v4: Cuts::uniform(OutcomeId(0)), v6: Cuts::uniform(OutcomeId(0)), outcomes: vec![outcome.into()] }
    }

    /// The IPv4 partition.
    pub fn v4(&self) -> &Cuts<u32, OutcomeId> {
        &self.v4
    }

    /// The IPv6 partition.
    pub fn v6(&self) -> &Cuts<u128, OutcomeId> {
        &self.v6
    }

    /// The outcome of a number.
    pub fn outcome(&self, id: OutcomeId) -> &Outcome {
        &self.outcomes[id.0 as usize]
    }

    /// What happens to a packet from this source.
    pub fn at(&self, ip: IpAddr) -> &Outcome {
        self.outcome(match ip {
            IpAddr::V4(a) => self.v4.at(a.into()),
            IpAddr::V6(a) => self.v6.at(a.into()),
        })
    }

    /// The sources whose outcome is wanted, without those from which no connection can come.
    pub fn select(&self, mut wanted: impl FnMut(&Outcome) -> bool) -> AddrSet {
        let wanted: Vec<bool> = self.outcomes.iter().map(&mut wanted).collect();
        AddrSet { v4: self.v4.select(|c| wanted[c.0 as usize]), v6: self.v6.select(|c| wanted[c.0 as usize]) }
            .minus(no_source())
    }

    /// Whether any source can have such an outcome: asked before what costs a look at every source.
    pub fn may(&self, wanted: impl Fn(&Outcome) -> bool) -> bool {
        self.outcomes.iter().any(wanted)
    }

    /// Every distinct outcome that some source has, with those sources, in the order of the outcomes.
    pub fn groups(&self) -> Vec<(Outcome, AddrSet)> {
        let mut sets: Vec<(Vec<_>, Vec<_>)> = vec![(Vec::new(), Vec::new()); self.outcomes.len()];
        for cut in self.v4.iter() {
            sets[cut.class.0 as usize].0.push(cut.span);
        }
        for cut in self.v6.iter() {
            sets[cut.class.0 as usize].1.push(cut.span);
        }
        let mut merged: std::collections::BTreeMap<&Outcome, AddrSet> = std::collections::BTreeMap::new();
        for (outcome, (v4, v6)) in self.outcomes.iter().zip(sets) {
            let set = AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) }.minus(no_source());
            let entry = merged.entry(outcome).or_default();
            *entry = entry.union(&set);
        }
        merged.into_iter().filter(|(_, s)| !s.is_empty()).map(|(o, s)| (o.clone(), s)).collect()
    }

    /// The sources that get in, limited or not.
    pub fn reachable(&self) -> AddrSet {
        self.select(|o| matches!(o.verdict, Verdict::Accept | Verdict::Limit { .. }))
    }

    /// The sources that get in within limits.
    pub fn limited(&self) -> AddrSet {
        self.select(|o| matches!(o.verdict, Verdict::Limit { .. }))
    }

    /// The sources that are refused.
    pub fn refused(&self) -> AddrSet {
        self.select(|o| matches!(o.verdict, Verdict::Refuse(_)))
    }

    /// The sources of which it cannot be told.
    pub fn unknown(&self) -> AddrSet {
        self.select(|o| matches!(o.verdict, Verdict::Unknown { .. }))
    }

    /// The same partition with each outcome replaced.
    #[must_use]
    pub fn map(&self, f: impl FnMut(&Outcome) -> Outcome) -> Self {
        Self { v4: self.v4.clone(), v6: self.v6.clone(), outcomes: self.outcomes.iter().map(f).collect() }
    }

    /// Two answers laid over each other.
    #[must_use]
    pub fn zip(&self, other: &Self, mut f: impl FnMut(&Outcome, &Outcome) -> Outcome) -> Self {
        let mut table: Vec<Outcome> = Vec::new();
        let mut known: HashMap<Outcome, u32> = HashMap::new();
        let mut join = |a: OutcomeId, b: OutcomeId| {
            let outcome = f(self.outcome(a), other.outcome(b));
            let next = table.len() as u32;
            OutcomeId(*known.entry(outcome).or_insert_with_key(|o| {
                table.push(o.clone());
                next
            }))
        };
        let v4 = self.v4.zip(&other.v4, &mut join);
        let v6 = self.v6.zip(&other.v6, &mut join);
        Self { v4, v6, outcomes: table }
    }

    /// Takes IPv4 from this answer and IPv6 from the other.
    #[must_use]
    pub fn with_v6_of(&self, other: &Self) -> Self {
        let shift = self.outcomes.len() as u32;
        let outcomes = self.outcomes.iter().chain(&other.outcomes).cloned().collect();
        Self { v4: self.v4.clone(), v6: other.v6.map(|c| OutcomeId(c.0 + shift)), outcomes }
    }

    /// Everything on which the two answers differ, sources from which no connection can come left out. The deciding rules
    /// are not compared.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let strip = |o: &Outcome| Outcome { by: None, ..o.clone() };
        let (left, right): (Vec<_>, Vec<_>) =
            (self.outcomes.iter().map(strip).collect(), other.outcomes.iter().map(strip).collect());
        let mut spans: std::collections::BTreeMap<(&Outcome, &Outcome), (Vec<_>, Vec<_>)> =
            std::collections::BTreeMap::new();
        fn walk<A: Addr>(
            a: &Cuts<A, OutcomeId>,
            b: &Cuts<A, OutcomeId>,
            left: &[Outcome],
            right: &[Outcome],
            mut found: impl FnMut(usize, usize, crate::net::Span<A>),
        ) {
            let both = a.zip(b, |x, y| (left[x.0 as usize] != right[y.0 as usize]).then_some((x.0, y.0)));
            if both.as_uniform() == Some(None) {
                return;
            }
            for cut in both.iter() {
                if let Some((x, y)) = cut.class {
                    found(x as usize, y as usize, cut.span);
                }
            }
        }
        walk(&self.v4, &other.v4, &left, &right, |x, y, s| spans.entry((&left[x], &right[y])).or_default().0.push(s));
        walk(&self.v6, &other.v6, &left, &right, |x, y, s| spans.entry((&left[x], &right[y])).or_default().1.push(s));
        spans
            .into_iter()
            .map(|((l, r), (v4, v6))| Difference {
                sources: AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) }.minus(no_source()),
                left: l.clone(),
                right: r.clone(),
            })
            .filter(|d| !d.sources.is_empty())
            .collect()
    }

    /// Whether the two answers surely do not differ, where much is known of the maps that they are on: of answers to many
    /// questions that only give the same pieces other meanings, each pair of meanings is compared and no piece twice.
    pub fn agrees(&self, other: &Self, known: &mut Meetings) -> bool {
        let same = |x: OutcomeId, y: OutcomeId| {
            let (a, b) = (self.outcome(x), other.outcome(y));
            a.verdict == b.verdict && a.log == b.log
        };
        fn ask<A: Addr>(
            known: &mut Vec<Meeting<A>>,
            a: &Cuts<A, OutcomeId>,
            b: &Cuts<A, OutcomeId>,
            same: impl FnMut(OutcomeId, OutcomeId) -> bool,
        ) -> bool {
            let at = known.iter().position(|m| m.is_of(a, b)).unwrap_or_else(|| {
                known.push(a.meeting(b));
                known.len() - 1
            });
            known[at].all(a, b, same)
        }
        ask(&mut known.v4, &self.v4, &other.v4, same) && ask(&mut known.v6, &self.v6, &other.v6, same)
    }

    /// Whether the two answers differ in one family only.
    pub fn family_equal(&self, other: &Self, family: Family) -> bool {
        self.differences(other).iter().all(|d| match family {
            Family::V4 => d.sources.v4.is_empty(),
            Family::V6 => d.sources.v6.is_empty(),
        })
    }
}

impl PartialEq for Access {
    /// Equality of the whole partition: verdicts, limits, refusals and log lines (not the deciding rules).
    fn eq(&self, other: &Self) -> bool {
        self.differences(other).is_empty()
    }
}
