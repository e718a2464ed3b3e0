//! A ruleset asked a question: the outcome for every source, with what decides it.

use std::collections::{HashMap, HashSet};

use crate::access::{Access, Outcome, OutcomeId, Packet, Path, Question, Verdict};
use crate::net::{Addr, AddrSet, Builder, Cuts};

use super::diagram::{Decision, Diagrams, Node};
use super::matching::{Flow, TRACKED, all};
use super::{ChainId, Change, Mark, Match, Rewrite, Rule, Ruleset, Then};

/// An answer, and what was found on the way.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// The outcome for every source.
    pub access: Access,
    /// Where a packet from outside is sent on, with the sources for which it is: nothing if it stays on this host.
    pub rewrites: Vec<(Rewrite, AddrSet)>,
}

/// Asks one ruleset many questions: what only depends on the sources is worked out once.
#[derive(Debug)]
pub struct Evaluator<'r> {
    ruleset: &'r Ruleset,
    runs: Runs,
    /// Whether marks are followed: some rule sets one, and some rule tests one.
    marks: bool,
    /// Whether some rule switches tracking off.
    untracks: bool,
}

impl<'r> Evaluator<'r> {
    /// An evaluator of a ruleset.
    pub fn new(ruleset: &'r Ruleset) -> Self {
        let rules = || ruleset.chains.iter().flat_map(|c| &c.rules);
        let changes = |wanted: fn(Change) -> bool| rules().any(|r| matches!(r.then, Then::Change(c) if wanted(c)));
        let marks = changes(|c| c != Change::NoTrack) && rules().flat_map(|r| &r.matches).any(Match::looks_at_marks);
        Self { ruleset, runs: Runs::default(), marks, untracks: changes(|c| c == Change::NoTrack) }
    }

    /// What happens to a packet from each source.
    pub fn ask(&mut self, q: &Question) -> Access {
        self.run(q, false).access
    }

    /// As [`Self::ask`], with the translations of packets from outside and the sources that meet each.
    pub fn ask_with_rewrites(&mut self, q: &Question) -> (Access, Vec<(Rewrite, AddrSet)>) {
        let evaluation = self.run(q, false);
        (evaluation.access, evaluation.rewrites)
    }

    /// As [`Self::ask`], and each outcome names the rule that decides it (so that there are more, and smaller, pieces).
    pub fn trace(&mut self, q: &Question) -> Evaluation {
        self.run(q, true)
    }

    fn run(&mut self, q: &Question, traced: bool) -> Evaluation {
        let mut table = Outcomes::default();
        let mut rewrites: Vec<(Rewrite, AddrSet)> = Vec::new();
        let v4 = self.family::<u32>(q, traced, &mut table, &mut rewrites);
        let v6 = self.family::<u128>(q, traced, &mut table, &mut rewrites);
        Evaluation { access: Access::new(v4, v6, table.list), rewrites }
    }
}

/// What happens to a packet from each source.
pub fn evaluate(ruleset: &Ruleset, q: &Question) -> Access {
    Evaluator::new(ruleset).ask(q)
}

/// Runs of rules that test nothing but the source and decide, each as a partition into the numbers of the rules that are
/// met first. They are the same for every question, and in large rulesets they are nearly everything.
#[derive(Debug, Default)]
pub(super) struct Runs {
    v4: HashMap<(ChainId, usize), Cuts<u32, u32>>,
    v6: HashMap<(ChainId, usize), Cuts<u128, u32>>,
}

/// The class of a source that no rule of a run matches.
const UNMATCHED: u32 = u32::MAX;

/// The part of [`Runs`] of one family.
pub(super) trait Slot: Addr {
    fn slot(runs: &mut Runs) -> &mut HashMap<(ChainId, usize), Cuts<Self, u32>>;
}

impl Slot for u32 {
    fn slot(runs: &mut Runs) -> &mut HashMap<(ChainId, usize), Cuts<Self, u32>> {
        &mut runs.v4
    }
}

impl Slot for u128 {
    fn slot(runs: &mut Runs) -> &mut HashMap<(ChainId, usize), Cuts<Self, u32>> {
        &mut runs.v6
    }
}

/// Whether a rule decides by the source alone.
fn by_source(rule: &Rule) -> bool {
    let decides = !matches!(rule.then, Then::Continue | Then::Change(_) | Then::Jump(_) | Then::Unknown(_));
    decides && rule.log.is_none() && matches!(rule.matches[..], [Match::Source(_)])
}

#[derive(Default)]
pub(super) struct Outcomes {
    list: Vec<Outcome>,
    numbers: HashMap<Outcome, OutcomeId>,
}

impl Outcomes {
    pub(super) fn number(&mut self, outcome: Outcome) -> OutcomeId {
        let next = OutcomeId(self.list.len() as u32);
        *self.numbers.entry(outcome).or_insert_with_key(|o| {
            self.list.push(o.clone());
            next
        })
    }

    /// The outcome of a stage, before which stages have had another one.
    pub(super) fn after(&mut self, before: OutcomeId, outcome: &Outcome) -> OutcomeId {
        let outcome = pass(&self.list[before.0 as usize], outcome);
        self.number(outcome)
    }
}

impl Evaluator<'_> {
    fn family<A: Slot>(
        &mut self,
        q: &Question,
        traced: bool,
        table: &mut Outcomes,
        rewrites: &mut Vec<(Rewrite, AddrSet)>,
    ) -> Cuts<A, OutcomeId> {
        let flow = Flow {
            interface: q.interface.clone(),
            packet: q.packet,
            original_port: q.port,
            port: Some(q.port),
            // On the way in a destination that is asked about is one of the host's own addresses.
            local: Some(q.path != Path::Forwarded),
            to: q.to.as_ref().map(|t| t.0.clone()),
            translated: false,
            tracked: Some(true),
            marks: self.marks,
            untracks: self.untracks,
        };
        let mut walk = Walk { ruleset: self.ruleset, runs: &mut self.runs, traced, d: Diagrams::new() };
        walk.answer::<A>(q, flow, table, rewrites)
    }
}

/// One evaluation: the stages are asked one after the other.
pub(super) struct Walk<'r> {
    pub(super) ruleset: &'r Ruleset,
    runs: &'r mut Runs,
    traced: bool,
    pub(super) d: Diagrams,
}

impl Walk<'_> {
    /// The whole of a base chain, its policy included.
    pub(super) fn chain_of_stage<A: Slot>(&mut self, chain: ChainId, flow: &Flow, policy: &Then) -> Cuts<A, Node> {
        let end = match policy {
            Then::Refuse(how) => self.d.decided(Decision::Refuse(*how), None),
            Then::Unknown(because) => self.d.decided(Decision::Unknown(because.clone()), None),
            _ => Node::ACCEPT,
        };
        let chains = self.chains::<A>(chain, flow);
        match chains.get(&chain) {
            Some(cuts) => {
                let d = &mut self.d;
                cuts.map(|n| {
                    let called = d.called(n);
                    d.then(called, end)
                })
            }
            None => Cuts::uniform(end),
        }
    }

    /// Every chain that can be reached from one, each as a function of the source, callees before callers.
    fn chains<A: Slot>(&mut self, root: ChainId, flow: &Flow) -> HashMap<ChainId, Cuts<A, Node>> {
        enum Visit {
            Enter(ChainId),
            Leave(ChainId),
        }
        let mut done: HashMap<ChainId, Cuts<A, Node>> = HashMap::new();
        let mut entered: HashSet<ChainId> = HashSet::new();
        let mut todo = vec![Visit::Enter(root)];
        // An explicit stack: a hostile ruleset nests ten thousand chains.
        while let Some(visit) = todo.pop() {
            match visit {
                Visit::Enter(id) => {
                    if !entered.insert(id) {
                        continue;
                    }
                    let Some(chain) = self.ruleset.chains.get(id.0 as usize) else { continue };
                    todo.push(Visit::Leave(id));
                    for rule in &chain.rules {
                        if let Then::Jump(next) | Then::Goto(next) = rule.then
                            && !entered.contains(&next)
                        {
                            todo.push(Visit::Enter(next));
                        }
                    }
                }
                Visit::Leave(id) => {
                    let cuts = self.chain::<A>(id, flow, &done);
                    done.insert(id, cuts);
                }
            }
        }
        done
    }

    /// One chain, whose callees are known, as a function of the source.
    fn chain<A: Slot>(&mut self, id: ChainId, flow: &Flow, done: &HashMap<ChainId, Cuts<A, Node>>) -> Cuts<A, Node> {
        let ruleset = self.ruleset;
        let rules = &ruleset.chains[id.0 as usize].rules;
        let mut parts: Parts<A> = Parts::default();
        let mut at = 0;
        while let Some(rule) = rules.get(at) {
            let run = rules[at..].iter().take_while(|r| by_source(r)).count();
            let part = if run > 0 {
                let part = self.run_of_rules::<A>(id, at, run, done);
                at += run;
                part
            } else {
                at += 1;
                self.rule::<A>(rule, flow, done)
            };
            if part.as_uniform() == Some(Node::FALL) {
                continue;
            }
            let decided = part.as_uniform().is_some_and(|n| self.d.ends(n));
            self.add(&mut parts, part);
            if decided {
                break;
            }
        }
        self.whole(parts)
    }

    /// A run of rules that decide by the source alone.
    fn run_of_rules<A: Slot>(
        &mut self,
        id: ChainId,
        at: usize,
        run: usize,
        done: &HashMap<ChainId, Cuts<A, Node>>,
    ) -> Cuts<A, Node> {
        let ruleset = self.ruleset;
        let rules = &ruleset.chains[id.0 as usize].rules;
        let first = A::slot(self.runs).entry((id, at)).or_insert_with(|| {
            let sets =
                rules[at..at + run].iter().zip(at as u32..).filter_map(|(rule, number)| match &rule.matches[..] {
                    [Match::Source(set)] => Some((set.ranges::<A>(), number)),
                    _ => None,
                });
            Cuts::of_first(sets, UNMATCHED)
        });
        let first = first.clone();
        let mut actions: HashMap<u32, Cuts<A, Node>> = HashMap::new();
        // Most rules do the same thing to every source that they match; the others are laid over below.
        let mut out = first.map(|number| {
            if number == UNMATCHED {
                return Node::FALL;
            }
            let action = self.action::<A>(&rules[number as usize], done);
            action.as_uniform().unwrap_or_else(|| {
                actions.insert(number, action);
                Node::FALL
            })
        });
        if !actions.is_empty() {
            out = lay_over(&first, &out, &actions);
        }
        out
    }

    /// One rule as a function of the source.
    fn rule<A: Slot>(&mut self, rule: &Rule, flow: &Flow, done: &HashMap<ChainId, Cuts<A, Node>>) -> Cuts<A, Node> {
        if rule.log.is_none() && matches!(rule.then, Then::Continue) {
            return Cuts::uniform(Node::FALL);
        }
        let test = all::<A>(&rule.matches, flow, rule.origin, &mut self.d);
        if test.as_uniform() == Some(Node::FALL) {
            return test;
        }
        let mut action = match rule.then {
            Then::Change(change) => Cuts::uniform(self.change(change, flow)),
            _ => self.action::<A>(rule, done),
        };
        let d = &mut self.d;
        if let Some(log) = rule.log {
            // The line is written before whatever the rule does, but only where it matches.
            action = action.map(|a| d.logged(log, a));
        }
        match (test.as_uniform(), action.as_uniform()) {
            (Some(Node::TRUE), _) => action,
            (_, Some(action)) => test.map(|t| d.when(t, action)),
            _ => test.zip(&action, |t, a| d.when(t, a)),
        }
    }

    /// A change at this stage, after which the packet goes on.
    fn change(&mut self, change: Change, flow: &Flow) -> Node {
        let does = match change {
            Change::NoTrack => match (flow.tracked, flow.packet) {
                (Some(false), _) => true,
                // What has a connection keeps it.
                (Some(true), Packet::Opening | Packet::Known | Packet::Adopted) => false,
                _ => return self.d.decided(Decision::Unknown(TRACKED.to_owned()), None),
            },
            Change::Mark { mark: Mark::Connection, .. } if flow.tracked.is_none() && flow.marks => {
                return self.d.changed(Change::Mark { mark: Mark::Connection, to: None }, Node::FALL);
            }
            Change::Mark { mark: Mark::Connection, .. } => flow.marks && flow.tracked == Some(true),
            Change::Mark { mark: Mark::Packet, .. } => flow.marks,
        };
        if does { self.d.changed(change, Node::FALL) } else { Node::FALL }
    }

    /// What a rule does to what it matches, as a function of the source.
    fn action<A: Slot>(&mut self, rule: &Rule, done: &HashMap<ChainId, Cuts<A, Node>>) -> Cuts<A, Node> {
        let by = self.traced.then_some(rule.origin);
        let node = match &rule.then {
            Then::Continue | Then::Change(_) => Node::FALL,
            Then::Accept => self.d.decided(Decision::Accept, by),
            Then::Refuse(how) => self.d.decided(Decision::Refuse(*how), by),
            Then::Return => Node::RETURN,
            Then::Rewrite(rewrite) => self.d.decided(Decision::Rewrite(Rewrite::clone(rewrite)), by),
            Then::Unknown(because) => {
                // It may accept, refuse or go on: whatever follows, the answer is not known.
                self.d.decided(Decision::Unknown(because.clone()), Some(rule.origin))
            }
            Then::Jump(next) | Then::Goto(next) => {
                if let Some(cuts) = done.get(next) {
                    let goes = matches!(rule.then, Then::Goto(_));
                    let d = &mut self.d;
                    return cuts.map(|n| if goes { d.gone(n) } else { d.called(n) });
                }
                let because = "the chains jump in a circle, or to one that is not there".to_owned();
                self.d.decided(Decision::Unknown(because), Some(rule.origin))
            }
        };
        Cuts::uniform(node)
    }

    /// Adds a function behind others. Neighbours are put together where both hold as many, so that the cost grows with the
    /// size times its logarithm, and few are kept.
    fn add<A: Addr>(&mut self, parts: &mut Parts<A>, part: Cuts<A, Node>) {
        let (mut many, mut last) = (1usize, part);
        while let Some((before, first)) = parts.0.pop() {
            if before > many {
                parts.0.push((before, first));
                break;
            }
            last = self.compose(&first, &last);
            many += before;
        }
        parts.0.push((many, last));
    }

    /// All of them together.
    fn whole<A: Addr>(&mut self, mut parts: Parts<A>) -> Cuts<A, Node> {
        let Some((_, mut out)) = parts.0.pop() else { return Cuts::uniform(Node::FALL) };
        while let Some((_, first)) = parts.0.pop() {
            out = self.compose(&first, &out);
        }
        out
    }

    /// Two functions one after the other.
    fn compose<A: Addr>(&mut self, first: &Cuts<A, Node>, second: &Cuts<A, Node>) -> Cuts<A, Node> {
        let d = &mut self.d;
        first.zip(second, |a, b| match (a, b) {
            (Node::FALL, b) => b,
            (Node::ACCEPT | Node::RETURN, _) => a,
            (a, Node::FALL) => a,
            _ => d.then(a, b),
        })
    }
}

/// The rules of a chain so far: functions one after the other, each with how many rules it is made of.
struct Parts<A: Addr>(Vec<(usize, Cuts<A, Node>)>);

impl<A: Addr> Default for Parts<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Puts, for each rule of a run that treats its sources differently, its own function in the place of its sources: one walk
/// over the run, with a look into the function of each piece.
fn lay_over<A: Addr>(
    first: &Cuts<A, u32>,
    simple: &Cuts<A, Node>,
    actions: &HashMap<u32, Cuts<A, Node>>,
) -> Cuts<A, Node> {
    let mut out = Builder::with_capacity(simple.len() + actions.values().map(Cuts::len).sum::<usize>());
    for cut in first.iter() {
        match actions.get(&cut.class) {
            Some(action) => action.within(cut.span).for_each(|(start, node)| out.push(start, node)),
            None => out.push(cut.span.first, simple.at(cut.span.first)),
        }
    }
    out.finish(Node::FALL)
}

/// Two stages in a row: both must accept.
fn pass(first: &Outcome, second: &Outcome) -> Outcome {
    let log = first.log.or(second.log);
    match (&first.verdict, &second.verdict) {
        (Verdict::Refuse(_), _) => first.clone(),
        (_, Verdict::Refuse(_)) | (Verdict::Accept, Verdict::Limit { .. }) => Outcome { log, ..second.clone() },
        (Verdict::Unknown { .. }, _) => Outcome { log: None, ..first.clone() },
        (_, Verdict::Unknown { .. }) => second.clone(),
        (Verdict::Accept, Verdict::Accept) => {
            // The stage that had something to say about the source is the one that decides.
            Outcome { verdict: Verdict::Accept, log, by: first.by.or(second.by) }
        }
        (Verdict::Limit { .. }, Verdict::Accept) => Outcome { log, ..first.clone() },
        (Verdict::Limit { limits: a, over, over_log }, Verdict::Limit { limits: b, over: how, over_log: line }) => {
            match a.and(*b) {
                Some(limits) if over == how && over_log == line => {
                    Outcome { verdict: Verdict::Limit { limits, over: *over, over_log: *over_log }, log, by: first.by }
                }
                _ => Outcome {
                    verdict: Verdict::Unknown { because: "two limits one after the other".to_owned() },
                    log: None,
                    by: second.by.or(first.by),
                },
            }
        }
    }
}
