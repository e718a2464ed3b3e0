//! The evaluation held to a naive interpreter: one source at a time, one assignment of what is not known at a time.
//!
//! What the evaluator decides must be so under every assignment; what it calls unknown must really differ among them.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use proptest::prelude::*;

use crate::access::{
    Bucket, Interface, Limits, Log, LogClass, Outcome, Packet, Path, Pattern, Per, Question, Rate, Refuse, Verdict,
};
use crate::net::{Addr, AddrSet, Family, Ranges, Span};

use super::{
    Chain, ChainId, Change, CtState, Hook, Mark, Match, Mixture, Origin, Ports, Rule, Ruleset, Stage, Then, Within,
    evaluate,
};

/// What the interpreter finds for one source under one assignment.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Found {
    Accept,
    Refuse(Refuse),
    /// An action that is not modelled was met: it may be anything.
    Opaque,
}

/// One way through the rules: every answer that was given to something that is not known.
#[derive(Clone, Default)]
struct Assignment {
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
struct Interpreter<'a> {
    ruleset: &'a Ruleset,
    q: &'a Question,
    source: IpAddr,
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
    fn ways(&self) -> Option<Vec<(Found, Assignment)>> {
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
fn judge(outcome: &Outcome, ways: &[(Found, Assignment)], single: bool, exact: bool) -> Result<(), String> {
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

/// Addresses that are few enough to be asked one by one, at both ends of the space and in its middle.
fn addresses<A: Addr + From<u32>>() -> Vec<A> {
    let mut out: Vec<A> = (0..12u32).map(A::from).collect();
    let mut last = A::MAX;
    for _ in 0..4 {
        out.push(last);
        last = last.prev().unwrap_or(A::MIN);
    }
    out
}

fn ranges<A: Addr + From<u32>>() -> impl Strategy<Value = Ranges<A>> {
    let at = proptest::sample::select(addresses::<A>());
    prop_oneof![
        4 => proptest::collection::vec((at.clone(), at).prop_map(|(a, b)| Span::new(a, b)), 0..3).prop_map(Ranges::from_spans),
        1 => Just(Ranges::all()),
    ]
}

fn sets() -> impl Strategy<Value = AddrSet> {
    (ranges::<u32>(), ranges::<u128>()).prop_map(|(v4, v6)| AddrSet { v4, v6 })
}

fn limits() -> impl Strategy<Value = Within> {
    let bucket = |burst| Bucket { rate: Rate::new(1, Per::Minute), burst };
    prop_oneof![
        3 => Just(Within::Rate { bucket: bucket(5), prefix: 32 }),
        1 => Just(Within::Rate { bucket: bucket(6), prefix: 32 }),
        3 => Just(Within::Concurrent { count: 3, prefix: 32 }),
        1 => Just(Within::Concurrent { count: 3, prefix: 24 }),
    ]
}

fn leaf() -> impl Strategy<Value = Match> {
    let ports =
        prop_oneof![Just(vec![(993, 993)]), Just(vec![(0, 65535)]), Just(vec![(22, 25), (993, 995)]), Just(vec![])];
    let state = proptest::sample::subsequence(
        vec![CtState::New, CtState::Established, CtState::Related, CtState::Invalid, CtState::Untracked],
        0..5,
    );
    prop_oneof![
        6 => sets().prop_map(|s| Match::Source(Arc::new(s))),
        2 => limits().prop_map(Match::Within),
        2 => "[abc]".prop_map(Match::Unknown),
        1 => sets().prop_map(|s| Match::Destination(Arc::new(s))),
        1 => proptest::sample::select(vec![Match::Always, Match::Never, Match::Connection, Match::DirectionOriginal, Match::DestinationLocal, Match::Translated]),
        2 => (marks(), 0u32..4, 0u32..4).prop_map(|(mark, mask, value)| Match::Mark { mark, mask, value: value & mask }),
        1 => proptest::sample::select(vec!["eth0", "eth*", "lo", "*"]).prop_map(|t| Match::Interface(vec![Pattern::parse(t)])),
        1 => proptest::sample::select(Family::ALL.to_vec()).prop_map(Match::Family),
        1 => ports.clone().prop_map(|p| Match::Port(Ports(p))),
        1 => ports.clone().prop_map(|p| Match::OriginalPort(Ports(p))),
        1 => ports.prop_map(|p| Match::SourcePort(Ports(p))),
        1 => (0u8..64, 0u8..64).prop_map(|(mask, value)| Match::Flags { mask, value: value & mask & 0x13 }),
        2 => state.prop_map(|s| Match::State(s.into_iter().collect::<BTreeSet<_>>())),
    ]
}

fn marks() -> impl Strategy<Value = Mark> {
    proptest::sample::select(vec![Mark::Packet, Mark::Connection])
}

fn changes() -> impl Strategy<Value = Change> {
    let to = (0u32..4, 0u32..4, 0u32..4);
    let mark = (marks(), to).prop_map(|(mark, (packet, connection, bits))| Change::Mark {
        mark,
        to: Some(Mixture { packet, connection, bits }),
    });
    prop_oneof![3 => mark, 1 => Just(Change::NoTrack)]
}

fn matches() -> impl Strategy<Value = Match> {
    leaf().prop_recursive(2, 6, 2, |inner| {
        prop_oneof![
            2 => inner.clone().prop_map(Match::negate),
            1 => proptest::collection::vec(inner.clone(), 0..3).prop_map(Match::All),
            1 => proptest::collection::vec(inner, 0..3).prop_map(Match::Any),
        ]
    })
}

/// An action of a rule in one of `chains` chains of which this is number `own`; it jumps forward only.
fn actions(own: u32, chains: u32) -> impl Strategy<Value = Then> {
    let last = chains - 1;
    let to = own.min(last)..=last;
    let jump = (to, any::<bool>()).prop_map(move |(n, goes)| match (n > own, goes) {
        (false, _) => Then::Return,
        (true, false) => Then::Jump(ChainId(n)),
        (true, true) => Then::Goto(ChainId(n)),
    });
    prop_oneof![
        3 => Just(Then::Accept),
        3 => Just(Then::Refuse(Refuse::Drop)),
        1 => Just(Then::Refuse(Refuse::Reset)),
        1 => Just(Then::Return),
        1 => Just(Then::Continue),
        2 => changes().prop_map(Then::Change),
        1 => Just(Then::Unknown("not modelled".to_owned())),
        4 => jump,
    ]
}

fn logs() -> impl Strategy<Value = Option<Log>> {
    proptest::option::weighted(0.2, proptest::sample::select(vec![LogClass::Refused, LogClass::Limited]))
        .prop_map(|class| class.map(|class| Log { class, rate: None }))
}

fn rule(own: u32, chains: u32) -> impl Strategy<Value = Rule> {
    // Many rules test nothing but the source: those are evaluated in runs.
    let tests = prop_oneof![
        2 => sets().prop_map(|s| vec![Match::Source(Arc::new(s))]),
        3 => proptest::collection::vec(matches(), 0..3),
    ];
    let origin = crate::access::RuleId(0);
    (tests, logs(), actions(own, chains)).prop_map(move |(matches, log, then)| Rule { matches, log, then, origin })
}

fn chains(chains: u32) -> impl Strategy<Value = Vec<Chain>> {
    let one = |own| {
        proptest::collection::vec(rule(own, chains), 0..5)
            .prop_map(move |rules| Chain { name: format!("c{own}"), rules })
    };
    (0..chains).map(one).collect::<Vec<_>>()
}

/// A ruleset of four chains, of which the first `stages` are base chains.
fn rulesets(stages: u32) -> impl Strategy<Value = Ruleset> {
    let policies = proptest::collection::vec(any::<bool>(), stages as usize);
    (chains(4), policies).prop_map(move |(chains, policies)| {
        let stages = (0u16..).zip(policies).map(|(n, refuses)| Stage {
            name: format!("stage {n}"),
            // Of two the first stands before tracking.
            hook: if n == 0 && stages > 1 { Hook::Prerouting } else { Hook::Input },
            priority: -300,
            family: None,
            nat: false,
            chain: ChainId(n.into()),
            policy: if refuses { Then::Refuse(Refuse::Drop) } else { Then::Accept },
            ours: false,
        });
        Ruleset { stages: stages.collect(), chains, origins: vec![Origin::default()], ..Ruleset::default() }
    })
}

fn questions() -> impl Strategy<Value = Question> {
    let interface = proptest::sample::select(vec!["lo", "eth0", "eth*", "wg0", "*"]);
    let packet = proptest::sample::select(Packet::ALL.to_vec());
    let port = proptest::sample::select(vec![22u16, 993, 4190]);
    let path = proptest::sample::select(vec![Path::Input, Path::Outside, Path::Outside]);
    (interface, packet, port, path).prop_map(|(interface, packet, port, path)| Question {
        path,
        port,
        interface: Interface::parse(interface),
        to: None,
        packet,
    })
}

/// Holds the whole answer to the interpreter, source by source.
fn hold(ruleset: &Ruleset, q: &Question) -> Result<(), TestCaseError> {
    let changes = ruleset.chains.iter().flat_map(|c| &c.rules).any(|r| matches!(r.then, Then::Change(_)));
    let fresh = q.path == Path::Outside && q.packet == Packet::Opening && q.interface != Interface::Loopback;
    // What others carry is not known when they come.
    if changes && !fresh {
        return Ok(());
    }
    let access = evaluate(ruleset, q);
    let sources = addresses::<u32>().into_iter().map(Addr::ip).chain(addresses::<u128>().into_iter().map(Addr::ip));
    for source in sources {
        let Some(ways) = (Interpreter { ruleset, q, source }).ways() else { continue };
        let single = ruleset.stages.len() == 1;
        // From one stage to the next it is forgotten with what else a mark was set.
        let exact = single || !changes;
        judge(access.at(source), &ways, single, exact)
            .map_err(|e| TestCaseError::fail(format!("{q}: {source}: {e}")))?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_stage_is_what_the_interpreter_finds(ruleset in rulesets(1), q in questions()) {
        hold(&ruleset, &q)?;
    }

    #[test]
    fn several_stages_are_what_the_interpreter_finds(ruleset in rulesets(2), q in questions()) {
        hold(&ruleset, &q)?;
    }
}

#[test]
fn chains_that_jump_in_a_circle_are_unknown_and_end() {
    let mut ruleset = Ruleset::default();
    let origin = ruleset.origin(Origin::default());
    let (a, b) = (ruleset.chain("a"), ruleset.chain("b"));
    for (chain, then) in [(a, Then::Jump(b)), (b, Then::Goto(a)), (a, Then::Jump(ChainId(99)))] {
        ruleset.push(chain, Rule { matches: vec![], log: None, then, origin });
    }
    ruleset.stages.push(Stage {
        name: "input".to_owned(),
        hook: Hook::Input,
        priority: 0,
        family: None,
        nat: false,
        chain: a,
        policy: Then::Accept,
        ours: false,
    });
    let access = evaluate(&ruleset, &Question::opening(993));
    assert_eq!(access.unknown(), AddrSet::all().minus(crate::net::no_source()));
}
