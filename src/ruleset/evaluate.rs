//! A ruleset asked a question: the outcome for every source, with what decides it.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::access::{Access, Outcome, OutcomeId, Packet, Path, Question, Verdict};
use crate::net::{Addr, AddrSet, Builder, Cuts, Ranges};

use super::diagram::{Decision, Diagrams, Node};
use super::matching::{Flow, all};
use super::{ChainId, Hook, Match, Rewrite, Rule, Ruleset, Then};

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
}

impl<'r> Evaluator<'r> {
    /// An evaluator of a ruleset.
    pub fn new(ruleset: &'r Ruleset) -> Self {
        Self { ruleset, runs: Runs::default() }
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
struct Runs {
    v4: HashMap<(ChainId, usize), Cuts<u32, u32>>,
    v6: HashMap<(ChainId, usize), Cuts<u128, u32>>,
}

/// The class of a source that no rule of a run matches.
const UNMATCHED: u32 = u32::MAX;

/// The part of [`Runs`] of one family.
trait Slot: Addr {
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
    let decides =
        !matches!(rule.then, Then::Continue | Then::SetMark | Then::NoTrack | Then::Jump(_) | Then::Unknown(_));
    decides && rule.log.is_none() && matches!(rule.matches[..], [Match::Source(_)])
}

#[derive(Default)]
struct Outcomes {
    list: Vec<Outcome>,
    numbers: HashMap<Outcome, OutcomeId>,
}

impl Outcomes {
    fn number(&mut self, outcome: Outcome) -> OutcomeId {
        let next = OutcomeId(self.list.len() as u32);
        *self.numbers.entry(outcome).or_insert_with_key(|o| {
            self.list.push(o.clone());
            next
        })
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
        let ruleset = self.ruleset;
        let sets = |wanted: fn(&Then) -> bool| ruleset.chains.iter().flat_map(|c| &c.rules).any(|r| wanted(&r.then));
        let to = q.to.as_ref().map(|t| t.0.clone());
        let mut flow = Flow {
            interface: q.interface.clone(),
            packet: q.packet,
            original_port: q.port,
            port: Some(q.port),
            // On the way in a destination that is asked about is one of the host's own addresses.
            local: Some(q.path != Path::Forwarded),
            to,
            translated: false,
            marks_set: sets(|t| matches!(t, Then::SetMark)),
            untracked: false,
            tracked: Some(true),
        };
        let untracks = sets(|t| matches!(t, Then::NoTrack));
        let mut walk = Walk { ruleset, runs: &mut self.runs, traced, d: Diagrams::new() };
        match q.path {
            Path::Input => walk.stages::<A>(&[Hook::Input], &flow, table),
            Path::Forwarded => {
                if flow.to.is_none() {
                    flow.translated = true;
                    flow.port = None;
                }
                walk.stages::<A>(&[Hook::Forward], &flow, table)
            }
            Path::Outside => walk.outside::<A>(flow, untracks, table, rewrites),
        }
    }
}

struct Walk<'r> {
    ruleset: &'r Ruleset,
    runs: &'r mut Runs,
    traced: bool,
    d: Diagrams,
}

impl Walk<'_> {
    /// A packet from outside: first everything before routing, then the way that its destination takes.
    fn outside<A: Slot>(
        &mut self,
        mut flow: Flow,
        untracks: bool,
        table: &mut Outcomes,
        rewrites: &mut Vec<(Rewrite, AddrSet)>,
    ) -> Cuts<A, OutcomeId> {
        // Which sources are sent where: the first translation that a nat chain makes. ACCEPT stands for none.
        let mut sent: Cuts<A, Node> = Cuts::uniform(Node::ACCEPT);
        if flow.packet.opens() || flow.packet == Packet::Known {
            let first = Flow { packet: Packet::Opening, ..flow.clone() };
            for stage in self.ruleset.path(Hook::Prerouting, A::FAMILY).into_iter().filter(|s| s.nat) {
                let result = self.chain_of_stage::<A>(stage.chain, &first, &stage.policy);
                let result = result.map(|n| if self.d.stays(n) { Node::ACCEPT } else { n });
                sent = sent.zip(&result, |a, b| if a == Node::ACCEPT { b } else { a });
            }
        }
        let mut groups: BTreeMap<Node, Vec<crate::net::Span<A>>> = BTreeMap::new();
        for cut in sent.iter() {
            groups.entry(cut.class).or_default().push(cut.span);
        }
        // Whether a rule before tracking takes the packet out of it is not followed source by source.
        flow.untracked = untracks && self.untracked::<A>(&flow);
        let before = self.stages::<A>(&[Hook::Ingress, Hook::Prerouting], &flow, table);
        let mut out = before.clone();
        for (node, spans) in groups {
            let set = Ranges::from_spans(spans);
            let part = if node == Node::ACCEPT {
                let hooks: &[Hook] = &[Hook::Input];
                self.stages::<A>(hooks, &flow, table)
            } else if let Some(rewrite) = self.d.rewrites(node) {
                let mut entry = AddrSet::new();
                *A::of_mut(&mut entry) = set.clone();
                match rewrites.iter_mut().find(|(r, _)| *r == rewrite) {
                    Some((_, sources)) => *sources = sources.union(&entry),
                    None => rewrites.push((rewrite.clone(), entry)),
                }
                let next = Flow {
                    port: rewrite.port.or(flow.port),
                    local: Some(rewrite.to.is_none()),
                    to: rewrite.to.clone().or_else(|| flow.to.clone()),
                    translated: true,
                    ..flow.clone()
                };
                let hooks: &[Hook] = if rewrite.to.is_none() { &[Hook::Input] } else { &[Hook::Forward] };
                self.stages::<A>(hooks, &next, table)
            } else {
                let outcome = match self.d.resolve(node) {
                    o @ Outcome { verdict: Verdict::Unknown { .. } | Verdict::Refuse(_), .. } => o,
                    o => Outcome {
                        verdict: Verdict::Unknown {
                            because: "it depends on where the packet is translated to".to_owned(),
                        },
                        ..o
                    },
                };
                Cuts::uniform(table.number(outcome))
            };
            let here: Cuts<A, bool> = Cuts::of_set(&set, true, false);
            let part = both(&before, &part, table);
            out = out.zip(&here.zip(&part, bool::then_some), |old, new| new.unwrap_or(old));
        }
        out
    }

    /// Whether some rule that can match the packet takes it out of tracking.
    fn untracked<A: Slot>(&mut self, flow: &Flow) -> bool {
        let rules = self.ruleset.chains.iter().flat_map(|c| &c.rules).filter(|r| r.then == Then::NoTrack);
        rules.into_iter().any(|r| all::<A>(&r.matches, flow, r.origin, &mut self.d).as_uniform() != Some(Node::FALL))
    }

    /// All filter stages of some hooks in a row; each must accept.
    fn stages<A: Slot>(&mut self, hooks: &[Hook], flow: &Flow, table: &mut Outcomes) -> Cuts<A, OutcomeId> {
        let accept = table.number(Verdict::Accept.into());
        let mut out: Option<Cuts<A, OutcomeId>> = None;
        for stage in hooks.iter().flat_map(|h| self.ruleset.path(*h, A::FAMILY)).filter(|s| !s.nat) {
            let flow = Flow { tracked: stage.after_tracking(), ..flow.clone() };
            let result = self.chain_of_stage::<A>(stage.chain, &flow, &stage.policy);
            let result = result.map(|n| table.number(self.d.resolve(n)));
            out = Some(match out {
                None => result,
                Some(before) => both(&before, &result, table),
            });
        }
        out.unwrap_or_else(|| Cuts::uniform(accept))
    }

    /// The whole of a base chain, its policy included.
    fn chain_of_stage<A: Slot>(&mut self, chain: ChainId, flow: &Flow, policy: &Then) -> Cuts<A, Node> {
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
        let mut parts: Vec<Cuts<A, Node>> = Vec::new();
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
            parts.push(part);
            if decided {
                break;
            }
        }
        self.compose(parts)
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
        if rule.log.is_none() && matches!(rule.then, Then::Continue | Then::SetMark | Then::NoTrack) {
            return Cuts::uniform(Node::FALL);
        }
        let test = all::<A>(&rule.matches, flow, rule.origin, &mut self.d);
        if test.as_uniform() == Some(Node::FALL) {
            return test;
        }
        let mut action = self.action::<A>(rule, done);
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

    /// What a rule does to what it matches, as a function of the source.
    fn action<A: Slot>(&mut self, rule: &Rule, done: &HashMap<ChainId, Cuts<A, Node>>) -> Cuts<A, Node> {
        let by = self.traced.then_some(rule.origin);
        let node = match &rule.then {
            Then::Continue | Then::SetMark | Then::NoTrack => Node::FALL,
            Then::Accept => self.d.decided(Decision::Accept, by),
            Then::Refuse(how) => self.d.decided(Decision::Refuse(*how), by),
            Then::Return => Node::RETURN,
            Then::Rewrite(rewrite) => self.d.decided(Decision::Rewrite(rewrite.clone()), by),
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

    /// Functions one after the other.
    fn compose<A: Addr>(&mut self, parts: Vec<Cuts<A, Node>>) -> Cuts<A, Node> {
        let d = &mut self.d;
        in_pairs(parts, Cuts::uniform(Node::FALL), |first, second| {
            first.zip(second, |a, b| match (a, b) {
                (Node::FALL, b) => b,
                (Node::ACCEPT | Node::RETURN, _) => a,
                (a, Node::FALL) => a,
                _ => d.then(a, b),
            })
        })
    }
}

/// Puts a list together in pairs, so that the cost grows with the size times its logarithm.
fn in_pairs<T>(mut parts: Vec<T>, none: T, mut join: impl FnMut(&T, &T) -> T) -> T {
    while parts.len() > 1 {
        let mut next = Vec::with_capacity(parts.len().div_ceil(2));
        let mut pairs = parts.into_iter();
        while let Some(first) = pairs.next() {
            match pairs.next() {
                Some(second) => next.push(join(&first, &second)),
                None => next.push(first),
            }
        }
        parts = next;
    }
    parts.pop().unwrap_or(none)
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
fn both<A: Addr>(first: &Cuts<A, OutcomeId>, second: &Cuts<A, OutcomeId>, table: &mut Outcomes) -> Cuts<A, OutcomeId> {
    first.zip(second, |a, b| {
        let outcome = pass(&table.list[a.0 as usize], &table.list[b.0 as usize]);
        table.number(outcome)
    })
}

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
