//! The evaluation held to a naive interpreter: one source at a time, one assignment of what is not known at a time.
//!
//! What the evaluator decides must be so under every assignment; what it calls unknown must really differ among them.

mod interpreter;

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use crate::access::{Bucket, Interface, Log, LogClass, Packet, Path, Pattern, Per, Question, Rate, Refuse};
use crate::net::{Addr, AddrSet, Family, Ranges, Span};

use super::{
    Chain, ChainId, Change, CtState, Hook, Mark, Match, Mixture, Origin, Ports, Rule, Ruleset, Stage, Then, Within,
    evaluate,
};
use interpreter::{Interpreter, judge};
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
