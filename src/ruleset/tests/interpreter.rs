//! An interpreter of rulesets, packet by packet: slow, simple, and nothing shared with the evaluation but the model.

use std::net::IpAddr;

use crate::access::{Limits, Log, Outcome, Packet, Path, Question, Refuse, Verdict};
use crate::net::Family;
use crate::ruleset::{ChainId, Change, CtState, Hook, Mark, Match, Ruleset, Then, Within};

/// What the interpreter finds for one source under one assignment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Accept,
    Refuse(Refuse),
    /// An action that is not modelled was met: it may be anything.
    Opaque,
}

/// One way through the rules: every answer that was given to something that is not known.
#[derive(Clone, Default)]
pub(super) struct Assignment {
    answers: Vec<bool>,
    asked: usize,
    /// The limit that each question was about, none for another condition.
    limits: Vec<Option<Within>>,
    /// The lines that were written; the first is the one of the answer.
    lines: Vec<Log>,
    /// What the packet carries: its mark, its connection's, and whether tracking was switched off for it.
    carried: (u32, u32, bool),
    /// Whether the packet has been through tracking.
    tracked: bool,
}

impl Assignment {
    fn log(&self) -> Option<Log> {
        self.lines.first().copied()
    }
}

impl Assignment {
    /// The answer to the next thing that is not known; new ones are first answered with yes.
    fn answer(&mut self, limit: Option<Within>) -> bool {
        self.limits.push(limit);
        if self.asked == self.answers.len() {
            self.answers.push(true);
        }
        self.asked += 1;
        self.answers[self.asked - 1]
    }

    /// The next assignment: the last yes becomes a no.
    fn advance(self) -> Option<Self> {
        let mut answers = self.answers;
        while answers.last() == Some(&false) {
            answers.pop();
        }
        *answers.last_mut()? = false;
        Some(Self { answers, ..Self::default() })
    }
}

/// The interpreter of one packet from one source.
pub(super) struct Interpreter<'a> {
    pub(super) ruleset: &'a Ruleset,
    pub(super) q: &'a Question,
    pub(super) source: IpAddr,
}

/// How a chain ended.
enum End {
    Fell,
    Decided(Found),
}

impl Interpreter<'_> {
    fn family(&self) -> Family {
        if self.source.is_ipv4() { Family::V4 } else { Family::V6 }
    }

    fn holds(&self, m: &Match, a: &mut Assignment) -> bool {
        match m {
            Match::Always | Match::DestinationLocal => true,
            Match::Never | Match::Translated => false,
            Match::Source(set) => set.contains(self.source),
            Match::Interface(patterns) => patterns.iter().any(|p| self.q.interface.matches(p)),
            Match::Family(family) => *family == self.family(),
            Match::Port(ports) | Match::OriginalPort(ports) => ports.contains(self.q.port),
            Match::SourcePort(ports) => ports.is_all() || (!ports.0.is_empty() && a.answer(None)),
            Match::Flags { mask, value } => self.q.packet.flags() & mask == *value,
            Match::State(states) if a.carried.2 => states.contains(&CtState::Untracked),
            Match::State(states) if !a.tracked => states.contains(&CtState::Invalid),
            Match::Connection => a.tracked && !a.carried.2,
            Match::State(states) => match self.q.packet {
                Packet::Opening => states.contains(&CtState::New),
                Packet::Known | Packet::Adopted => states.contains(&CtState::Established),
                Packet::OddOpening | Packet::Stray => {
                    let (new, invalid) = (states.contains(&CtState::New), states.contains(&CtState::Invalid));
                    if new == invalid { new } else { a.answer(None) == new }
                }
            },
            Match::DirectionOriginal => self.q.packet != Packet::Adopted,
            Match::Mark { mark: Mark::Packet, mask, value } => a.carried.0 & mask == *value,
            Match::Mark { mark: Mark::Connection, mask, value } => a.carried.1 & mask == *value,
            Match::Within(within) => a.answer(Some(*within)),
            Match::Not(inner) => !self.holds(inner, a),
            Match::All(inner) => inner.iter().all(|m| self.holds(m, a)),
            Match::Any(inner) => inner.iter().any(|m| self.holds(m, a)),
            Match::Unknown(_) => a.answer(None),
            // No question here names a destination.
            Match::Destination(set) => {
                let all = if self.source.is_ipv4() { set.v4.is_all() } else { set.v6.is_all() };
                let none = if self.source.is_ipv4() { set.v4.is_empty() } else { set.v6.is_empty() };
                all || (!none && a.answer(None))
            }
        }
    }

    fn chain(&self, id: ChainId, a: &mut Assignment) -> End {
        for rule in &self.ruleset.chains[id.0 as usize].rules {
            if !rule.matches.iter().all(|m| self.holds(m, a)) {
                continue;
            }
            a.lines.extend(rule.log);
            match &rule.then {
                Then::Continue => {}
                Then::Change(change) => change_carried(*change, a),
                Then::Accept | Then::Rewrite(_) => return End::Decided(Found::Accept),
                Then::Refuse(how) => return End::Decided(Found::Refuse(*how)),
                Then::Unknown(_) => return End::Decided(Found::Opaque),
                Then::Return => return End::Fell,
                Then::Goto(next) => return self.chain(*next, a),
                Then::Jump(next) => {
                    if let End::Decided(found) = self.chain(*next, a) {
                        return End::Decided(found);
                    }
                }
            }
        }
        End::Fell
    }

    fn run(&self, a: &mut Assignment) -> Found {
        let mut out = Found::Accept;
        let hooks: &[Hook] =
            if self.q.path == Path::Outside { &[Hook::Prerouting, Hook::Input] } else { &[Hook::Input] };
        for stage in hooks.iter().flat_map(|h| self.ruleset.path(*h, self.family())) {
            a.tracked = stage.hook == Hook::Input;
            let found = match self.chain(stage.chain, a) {
                End::Decided(found) => found,
                End::Fell => match stage.policy {
                    Then::Refuse(how) => Found::Refuse(how),
                    _ => Found::Accept,
                },
            };
            match found {
                Found::Refuse(_) => return found,
                Found::Opaque => out = Found::Opaque,
                Found::Accept => {}
            }
        }
        out
    }

    /// Every way through, none if there are too many.
    pub(super) fn ways(&self) -> Option<Vec<(Found, Assignment)>> {
        let mut out = Vec::new();
        let mut next = Some(Assignment::default());
        while let Some(mut a) = next {
            let found = self.run(&mut a);
            out.push((found, a.clone()));
            if out.len() > 2000 {
                return None;
            }
            next = a.advance();
        }
        Some(out)
    }
}

/// What a change does to what a packet carries.
fn change_carried(change: Change, a: &mut Assignment) {
    let (packet, connection, untracked) = a.carried;
    match change {
        Change::NoTrack => a.carried.2 |= !a.tracked,
        Change::Mark { mark, to: Some(to) } => {
            let value = (packet & to.packet) ^ (connection & to.connection) ^ to.bits;
            match mark {
                Mark::Packet => a.carried.0 = value,
                Mark::Connection if a.tracked && !untracked => a.carried.1 = value,
                Mark::Connection => {}
            }
        }
        Change::Mark { to: None, .. } => unreachable!("none is made here"),
    }
}

/// A way of which only the verdict counts, and the conditions that really matter to it.
type Reduced = (Found, Vec<(Option<Within>, bool)>);

/// The ways without the conditions that make no difference to the verdict.
fn reduce(ways: &[(Found, Assignment)], depth: usize) -> Vec<Reduced> {
    let Some(limit) = ways[0].1.limits.get(depth).copied() else { return vec![(ways[0].0.clone(), Vec::new())] };
    let (yes, no) = ways.split_at(ways.partition_point(|(_, a)| a.answers[depth]));
    let (mut yes, no) = (reduce(yes, depth + 1), reduce(no, depth + 1));
    if yes == no {
        return yes;
    }
    let tag = |way: &Reduced, answer| (way.0.clone(), [&[(limit, answer)], &way.1[..]].concat());
    yes = yes.iter().map(|w| tag(w, true)).collect();
    yes.extend(no.iter().map(|w| tag(w, false)));
    yes
}

/// The limit that all ways together are, if they are one: accepted within all of the limits, refused over any.
fn as_limit(ways: &[Reduced]) -> Option<(Limits, Refuse)> {
    let mut all: Option<Limits> = None;
    let mut over: Option<Refuse> = None;
    for (found, conditions) in ways {
        for (within, _) in conditions {
            let one = match (*within)? {
                Within::Rate { bucket, prefix } => Limits { rate: Some(bucket), concurrent: None, prefix },
                Within::Concurrent { count, prefix } => Limits { rate: None, concurrent: Some(count), prefix },
            };
            all = Some(all.map_or(Some(one), |a| a.and(one))?);
        }
        match (found, conditions.iter().all(|(_, yes)| *yes)) {
            (Found::Accept, true) => {}
            (Found::Refuse(how), false) if over.is_none_or(|o| o == *how) => over = Some(*how),
            _ => return None,
        }
    }
    all.zip(over)
}

/// Holds one outcome to every way through the rules.
pub(super) fn judge(outcome: &Outcome, ways: &[(Found, Assignment)], single: bool, exact: bool) -> Result<(), String> {
    let all = |wanted: fn(&Found) -> bool| ways.iter().all(|(f, _)| wanted(f));
    let accepted = all(|f| *f == Found::Accept);
    let refused = all(|f| matches!(f, Found::Refuse(_)));
    let logs: Vec<Option<Log>> = ways.iter().map(|(_, a)| a.log()).collect();
    // A line that every way writes is in the outcome, and no other.
    let line = |log: Option<Log>| {
        !single || (log.is_none() && logs.iter().any(|l| *l != logs[0])) || logs.iter().all(|l| *l == log)
    };
    let reduced = reduce(ways, 0);
    let fine = match &outcome.verdict {
        Verdict::Accept => accepted && line(outcome.log),
        Verdict::Refuse(Refuse::Either) => refused && ways.iter().any(|(f, _)| *f != ways[0].0),
        Verdict::Refuse(how) => {
            let kind = ways.iter().all(|(f, _)| *f == Found::Refuse(*how));
            refused && line(outcome.log) && (!single || kind)
        }
        Verdict::Limit { limits, over, over_log } => {
            let lines = |refused: bool, log: Option<Log>| {
                // What is logged over the limit comes after what is logged anyhow.
                let mut those = ways.iter().filter(|(f, _)| matches!(f, Found::Refuse(_)) == refused);
                log.is_none_or(|log| !single || those.all(|(_, a)| a.lines.contains(&log)))
            };
            let shape = reduced.iter().all(|(found, conditions)| {
                let mut counted = conditions.iter().filter_map(|(within, yes)| within.map(|w| (w, *yes)));
                match found {
                    Found::Accept => counted.all(|(w, yes)| yes && counts(limits, w)),
                    Found::Refuse(how) => {
                        (*over == Refuse::Either || !single || how == over)
                            && counted.any(|(w, yes)| !yes && counts(limits, w))
                    }
                    Found::Opaque => false,
                }
            });
            shape && lines(false, outcome.log) && lines(true, *over_log)
        }
        // Lines that differ, and limits that follow each other, may be more than one limit can say.
        Verdict::Unknown { .. } => {
            let lines = logs.iter().all(|l| *l == logs[0]);
            !exact || !accepted && !refused && (!single || !lines || as_limit(&reduced).is_none())
        }
    };
    if fine {
        return Ok(());
    }
    let shown: Vec<String> = ways
        .iter()
        .take(8)
        .map(|(f, a)| format!("{:?} -> {f:?} log {:?}", a.answers, a.log().map(|l| l.class)))
        .collect();
    Err(format!("the evaluator says {outcome:?}, but {} ways: {}", ways.len(), shown.join("; ")))
}

/// Whether a limit of a rule is a part of the limits of an answer.
fn counts(limits: &Limits, within: Within) -> bool {
    match within {
        Within::Rate { bucket, prefix } => limits.rate == Some(bucket) && limits.prefix == prefix,
        Within::Concurrent { count, prefix } => limits.concurrent == Some(count) && limits.prefix == prefix,
    }
}
