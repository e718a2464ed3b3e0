//! The way of a packet through the stages: what it carries on, where it is sent, and what becomes of it, for all sources at
//! once.

use std::collections::{BTreeMap, HashMap};

use crate::access::{Interface, Outcome, OutcomeId, Packet, Path, Question, Verdict};
use crate::net::{AddrSet, Cuts, Ranges, Span};

use super::diagram::Settled;
use super::evaluate::{Outcomes, Slot, Walk};
use super::mark::Carried;
use super::matching::{Flow, TRACKED};
use super::{Hook, Rewrite, Stage};

/// The priorities at which destinations are translated before routing, and sources on the way in (`NF_IP_PRI_NAT_DST`,
/// `NF_IP_PRI_NAT_SRC`): all nat chains are asked there, whatever priority they have among themselves.
const TRANSLATION: (i32, i32) = (-100, 100);

/// Which way sources go.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
enum Way {
    /// To the destination that the packet came for.
    Straight,
    /// To another one, as a number into [`Journey::rewrites`].
    Sent(u32),
    /// Nobody knows.
    Lost,
}

/// What is the same for all sources of one class.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Party(u32);

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Progress {
    way: Way,
    outcome: OutcomeId,
    /// What the packet carries; none once it is refused.
    carried: Option<Carried>,
}

/// All sources on their way.
pub(super) struct Journey<A: Slot> {
    at: Cuts<A, Party>,
    parties: Vec<Progress>,
    numbers: HashMap<Progress, Party>,
    rewrites: Vec<Rewrite>,
    rewrite_numbers: HashMap<Rewrite, u32>,
}

impl<A: Slot> Journey<A> {
    fn new(carried: Carried, table: &mut Outcomes) -> Self {
        let start =
            Progress { way: Way::Straight, outcome: table.number(Verdict::Accept.into()), carried: Some(carried) };
        let mut out = Self {
            at: Cuts::uniform(Party(0)),
            parties: Vec::new(),
            numbers: HashMap::new(),
            rewrites: Vec::new(),
            rewrite_numbers: HashMap::new(),
        };
        out.number(start);
        out
    }

    fn number(&mut self, progress: Progress) -> Party {
        let next = Party(self.parties.len() as u32);
        *self.numbers.entry(progress).or_insert_with(|| {
            self.parties.push(progress);
            next
        })
    }

    fn sent(&mut self, rewrite: Rewrite) -> Way {
        let next = self.rewrites.len() as u32;
        Way::Sent(*self.rewrite_numbers.entry(rewrite).or_insert_with_key(|r| {
            self.rewrites.push(r.clone());
            next
        }))
    }

    /// The ways that somebody is still on.
    fn ways(&self) -> Vec<Way> {
        let here = self.at.iter().map(|c| self.parties[c.class.0 as usize]).filter(|p| p.carried.is_some());
        here.map(|p| p.way).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The outcome for every source.
    fn outcomes(&self) -> Cuts<A, OutcomeId> {
        self.at.map(|party| self.parties[party.0 as usize].outcome)
    }

    /// Where packets are sent on, with their sources.
    fn sources(&self) -> Vec<(Rewrite, AddrSet)> {
        let mut spans: BTreeMap<u32, Vec<Span<A>>> = BTreeMap::new();
        for cut in self.at.iter() {
            if let Way::Sent(number) = self.parties[cut.class.0 as usize].way {
                spans.entry(number).or_default().push(cut.span);
            }
        }
        let sets = spans.into_iter().map(|(number, spans)| {
            let mut set = AddrSet::new();
            *A::of_mut(&mut set) = Ranges::from_spans(spans);
            (self.rewrites[number as usize].clone(), set)
        });
        sets.collect()
    }
}

impl Walk<'_> {
    /// What happens to a packet from each source; where it is sent on is added to the list.
    pub(super) fn answer<A: Slot>(
        &mut self,
        q: &Question,
        mut flow: Flow,
        table: &mut Outcomes,
        rewrites: &mut Vec<(Rewrite, AddrSet)>,
    ) -> Cuts<A, OutcomeId> {
        let carried = carried(q, &flow);
        let mut journey = Journey::<A>::new(carried, table);
        match q.path {
            Path::Input => self.hook(Hook::Input, &flow, &mut journey, table),
            Path::Forwarded => {
                if flow.to.is_none() {
                    flow.translated = true;
                    flow.port = None;
                }
                self.hook(Hook::Forward, &flow, &mut journey, table);
            }
            // First everything before routing, then the way that its destination takes.
            Path::Outside => {
                for hook in [Hook::Ingress, Hook::Prerouting, Hook::Input, Hook::Forward] {
                    self.hook(hook, &flow, &mut journey, table);
                }
            }
        }
        for (rewrite, set) in journey.sources() {
            match rewrites.iter_mut().find(|(r, _)| *r == rewrite) {
                Some((_, sources)) => *sources = sources.union(&set),
                None => rewrites.push((rewrite, set)),
            }
        }
        journey.outcomes()
    }

    /// All stages at one hook in a row; each must accept.
    fn hook<A: Slot>(&mut self, hook: Hook, flow: &Flow, journey: &mut Journey<A>, table: &mut Outcomes) {
        let mut stages = self.ruleset.path(hook, A::FAMILY);
        stages.sort_by_key(|s| at(s));
        let mut ways = journey.ways();
        for stage in stages {
            for way in ways.clone() {
                let Some(mut here) = on_way(flow, way, hook, &journey.rewrites) else { continue };
                // What is translated is tracked.
                here.tracked = if stage.nat { Some(true) } else { stage.after_tracking() };
                if stage.nat {
                    self.translate(stage, &here, way, journey, table);
                } else {
                    let result = self.chain_of_stage::<A>(stage.chain, &here, &stage.policy);
                    let now = journey.at.clone();
                    journey.at = now.zip(&result, |party, node| {
                        let mut progress = journey.parties[party.0 as usize];
                        let Some(carried) = progress.carried.filter(|_| progress.way == way) else { return party };
                        let Settled { outcome, carried, .. } = self.d.settle(node, carried);
                        progress.outcome = table.after(progress.outcome, &outcome);
                        progress.carried = carried;
                        journey.number(progress)
                    });
                }
            }
            if stage.nat {
                ways = journey.ways();
            }
        }
    }

    /// A nat chain: it sees the first packet of a connection, and the first translation that is met counts.
    fn translate<A: Slot>(
        &mut self,
        stage: &Stage,
        flow: &Flow,
        way: Way,
        journey: &mut Journey<A>,
        table: &mut Outcomes,
    ) {
        let before_routing = stage.hook == Hook::Prerouting;
        // A known connection is sent where its first packet was; on the way in nothing happens to it.
        let known = flow.packet == Packet::Known;
        if !(flow.packet.opens() || known && before_routing) || before_routing && way != Way::Straight {
            return;
        }
        let first = Flow { packet: Packet::Opening, ..flow.clone() };
        let result = self.chain_of_stage::<A>(stage.chain, &first, &stage.policy);
        let now = journey.at.clone();
        journey.at = now.zip(&result, |party, node| {
            let mut progress = journey.parties[party.0 as usize];
            let Some(carried) = progress.carried.filter(|_| progress.way == way) else { return party };
            // What is not tracked is not translated.
            if carried.untracked() == Some(true) {
                return party;
            }
            let then = if known && flow.marks { carried.with_unknown_marks() } else { carried };
            let settled = self.d.settle(node, then);
            progress.carried = match (known, carried.untracked(), settled.carried) {
                (true, ..) => Some(carried),
                // It may not have been asked at all.
                (false, None, Some(after)) => Some(after.join(carried)),
                (false, _, after) => after,
            };
            let rewrite = settled.rewrite.filter(|_| before_routing);
            let accepts = settled.outcome.verdict == Verdict::Accept;
            let outcome = match (&settled.outcome.verdict, rewrite) {
                (Verdict::Accept, None) => return journey.number(progress),
                _ if carried.untracked().is_none() => unknown(TRACKED, &settled.outcome),
                (Verdict::Unknown { .. } | Verdict::Refuse(_), _) => settled.outcome,
                (_, Some(rewrite)) if accepts => {
                    progress.way = journey.sent(rewrite);
                    return journey.number(progress);
                }
                _ => unknown("it depends on where the packet is translated to", &settled.outcome),
            };
            if before_routing && matches!(outcome.verdict, Verdict::Unknown { .. }) {
                progress.way = Way::Lost;
            }
            progress.outcome = table.after(progress.outcome, &outcome);
            journey.number(progress)
        });
    }
}

fn unknown(because: &str, outcome: &Outcome) -> Outcome {
    Outcome { verdict: Verdict::Unknown { because: because.to_owned() }, log: None, by: outcome.by }
}

/// The place of a stage at its hook.
fn at(stage: &Stage) -> i32 {
    match (stage.nat, stage.hook) {
        (true, Hook::Prerouting) => TRANSLATION.0,
        (true, Hook::Input) => TRANSLATION.1,
        _ => stage.priority,
    }
}

/// The packet at a hook, if this way leads there.
fn on_way(flow: &Flow, way: Way, hook: Hook, rewrites: &[Rewrite]) -> Option<Flow> {
    let before_routing = matches!(hook, Hook::Ingress | Hook::Prerouting);
    match way {
        Way::Lost => None,
        Way::Straight => {
            let routed = flow.local == Some(false);
            (before_routing || routed == (hook == Hook::Forward)).then(|| flow.clone())
        }
        Way::Sent(number) => {
            let rewrite = rewrites.get(number as usize)?;
            let hook_of_way = if rewrite.to.is_none() { Hook::Input } else { Hook::Forward };
            (before_routing || hook == hook_of_way).then(|| Flow {
                port: rewrite.port.or(flow.port),
                local: Some(rewrite.to.is_none()),
                to: rewrite.to.clone().or_else(|| flow.to.clone()),
                translated: true,
                ..flow.clone()
            })
        }
    }
}

/// What a packet carries when it is first seen.
fn carried(q: &Question, flow: &Flow) -> Carried {
    if q.path != Path::Outside || q.interface == Interface::Loopback {
        // Rules that are not asked may have changed it: those before routing, or those for what goes out.
        let known = if flow.marks { Carried::UNKNOWN } else { Carried::FRESH };
        return known.with_untracked((!flow.untracks).then_some(false));
    }
    if q.packet == Packet::Opening || !flow.marks { Carried::FRESH } else { Carried::FRESH.of_old_connection() }
}
