//! A test asked of a question: what is settled for every source, what depends on the source, what is unknown.

use std::collections::BTreeSet;

use crate::access::{Interface, Packet, RuleId};
use crate::net::{Addr, AddrSet, Cuts};

use super::diagram::{Condition, Diagrams, Node};
use super::{CtState, Mark, Match, Ports};

/// A packet at one stage of its way, all but its source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Flow {
    pub(super) interface: Interface,
    pub(super) packet: Packet,
    /// The port that the client dialled.
    pub(super) original_port: u16,
    /// The port at this stage; none: not known (translated to one that the question does not name).
    pub(super) port: Option<u16>,
    /// The destination at this stage; none: not known.
    pub(super) to: Option<AddrSet>,
    /// Whether the destination is an address of this host; none: not known.
    pub(super) local: Option<bool>,
    /// Whether the destination has been translated.
    pub(super) translated: bool,
    /// Whether connection tracking has had its turn at this stage; none: not known.
    pub(super) tracked: Option<bool>,
    /// Whether marks are followed: some rule sets one, and some rule tests one.
    pub(super) marks: bool,
    /// Whether some rule switches tracking off.
    pub(super) untracks: bool,
}

/// The reason of what is unknown because the question names no destination.
pub const DESTINATION: &str = "it depends on the destination address";

/// The reason of what is unknown because the packet may have no connection yet, or none at all.
pub(super) const TRACKED: &str = "it depends on whether the connection is tracked";

/// What is settled of a test that does not look at the source.
enum Settled {
    Yes,
    No,
    Unknown(String),
    /// It depends on what the packet carries.
    Mark(Mark, u32, u32),
    /// It is the first for packets for which tracking was switched off, and the second for others.
    Tracking(bool, Box<Settled>),
}

impl From<bool> for Settled {
    fn from(yes: bool) -> Self {
        if yes { Self::Yes } else { Self::No }
    }
}

/// The test as a partition of the sources into diagrams with the open ends TRUE and FALL (for false).
pub(super) fn test<A: Addr>(m: &Match, flow: &Flow, rule: RuleId, d: &mut Diagrams) -> Cuts<A, Node> {
    match m {
        Match::Source(set) => Cuts::of_set(set.ranges::<A>(), Node::TRUE, Node::FALL),
        Match::Not(inner) => test(inner, flow, rule, d).map(|n| d.not(n)),
        Match::All(inner) => all(inner, flow, rule, d),
        Match::Any(inner) => {
            let mut out = Cuts::uniform(Node::FALL);
            for m in inner {
                if out.as_uniform() == Some(Node::TRUE) {
                    break;
                }
                let next = test::<A>(m, flow, rule, d);
                out = out.zip(&next, |a, b| d.or(a, b));
            }
            out
        }
        Match::Within(within) => {
            let node = d.condition(Condition::Within(*within));
            Cuts::uniform(node)
        }
        _ => Cuts::uniform(node(settle::<A>(m, flow), rule, d)),
    }
}

fn node(settled: Settled, rule: RuleId, d: &mut Diagrams) -> Node {
    match settled {
        Settled::Yes => Node::TRUE,
        Settled::No => Node::FALL,
        Settled::Unknown(because) => d.condition(Condition::Unknown { because, rule }),
        Settled::Mark(mark, mask, value) => d.condition(Condition::Mark { mark, mask, value, rule }),
        Settled::Tracking(untracked, otherwise) => {
            let (off, otherwise) = (d.condition(Condition::Untracked { rule }), node(*otherwise, rule, d));
            let on = d.not(off);
            let tracked = d.and(on, otherwise);
            if untracked { d.or(off, tracked) } else { tracked }
        }
    }
}

/// All tests of a list; those after one that is false everywhere are not asked.
pub(super) fn all<A: Addr>(ms: &[Match], flow: &Flow, rule: RuleId, d: &mut Diagrams) -> Cuts<A, Node> {
    // What is settled without the source comes first: most rules of a big ruleset are dismissed by it.
    let cheap = |m: &&Match| !matches!(m, Match::Source(_) | Match::Not(_) | Match::All(_) | Match::Any(_));
    for m in ms.iter().filter(cheap) {
        if matches!(m, Match::Within(_)) {
            continue;
        }
        if matches!(settle::<A>(m, flow), Settled::No) {
            return Cuts::uniform(Node::FALL);
        }
    }
    let mut out: Option<Cuts<A, Node>> = None;
    for m in ms {
        let next = test::<A>(m, flow, rule, d);
        let joined = match out {
            None => next,
            Some(before) if before.as_uniform() == Some(Node::TRUE) => next,
            Some(before) => before.zip(&next, |a, b| d.and(a, b)),
        };
        if joined.as_uniform() == Some(Node::FALL) {
            return joined;
        }
        out = Some(joined);
    }
    out.unwrap_or_else(|| Cuts::uniform(Node::TRUE))
}

fn settle<A: Addr>(m: &Match, flow: &Flow) -> Settled {
    match m {
        Match::Always => Settled::Yes,
        Match::Destination(set) => {
            let set = set.ranges::<A>();
            if set.is_empty() {
                return Settled::No;
            }
            if set.is_all() {
                return Settled::Yes;
            }
            match &flow.to {
                Some(to) if to.ranges::<A>().is_empty() => Settled::No,
                Some(to) if set.contains_all(to.ranges::<A>()) => Settled::Yes,
                Some(to) if !set.overlaps(to.ranges::<A>()) => Settled::No,
                _ => Settled::Unknown(DESTINATION.to_owned()),
            }
        }
        Match::DestinationLocal => flow.local.map_or_else(|| Settled::Unknown(DESTINATION.to_owned()), Settled::from),
        Match::Interface(patterns) => patterns.iter().any(|p| flow.interface.matches(p)).into(),
        Match::Family(family) => (*family == A::FAMILY).into(),
        Match::Port(ports) => port(ports, flow.port),
        Match::OriginalPort(ports) => ports.contains(flow.original_port).into(),
        Match::SourcePort(ports) => {
            if ports.is_all() {
                Settled::Yes
            } else if ports.0.is_empty() {
                Settled::No
            } else {
                Settled::Unknown("it depends on the source port".to_owned())
            }
        }
        Match::Flags { mask, value } => (flow.packet.flags() & mask == *value).into(),
        Match::State(states) => state(states, flow),
        Match::DirectionOriginal => match flow.packet {
            Packet::Adopted => Settled::No,
            _ => Settled::Yes,
        },
        Match::Translated => flow.translated.into(),
        Match::Mark { value, .. } if !flow.marks => (*value == 0).into(),
        Match::Mark { mark, mask, value } => Settled::Mark(*mark, *mask, *value),
        Match::Connection => match flow.tracked {
            Some(false) => Settled::No,
            Some(true) => tracking(flow, false, Settled::Yes),
            None => Settled::Unknown(TRACKED.to_owned()),
        },
        Match::Never => Settled::No,
        Match::Unknown(because) => Settled::Unknown(because.clone()),
        Match::Source(_) | Match::Not(_) | Match::All(_) | Match::Any(_) | Match::Within(_) => {
            Settled::Unknown("a test inside of another".to_owned())
        }
    }
}

fn port(ports: &Ports, port: Option<u16>) -> Settled {
    match port {
        Some(port) => ports.contains(port).into(),
        None if ports.is_all() => Settled::Yes,
        None if ports.0.is_empty() => Settled::No,
        None => Settled::Unknown("it depends on the port that the packet was translated to".to_owned()),
    }
}

/// What is settled of a test that packets out of tracking meet in one way and others in another.
fn tracking(flow: &Flow, untracked: bool, otherwise: Settled) -> Settled {
    let same = matches!((untracked, &otherwise), (true, Settled::Yes) | (false, Settled::No));
    if same || !flow.untracks { otherwise } else { Settled::Tracking(untracked, Box::new(otherwise)) }
}

fn state(states: &BTreeSet<CtState>, flow: &Flow) -> Settled {
    let has = |state| states.contains(&state);
    let seen = match (flow.tracked, flow.packet) {
        (None, _) => Settled::Unknown(TRACKED.to_owned()),
        // What has not been looked at yet is invalid (`nft_ct_get_eval`, `conntrack_mt`).
        (Some(false), _) => has(CtState::Invalid).into(),
        (Some(true), Packet::Opening) => has(CtState::New).into(),
        (Some(true), Packet::Known | Packet::Adopted) => has(CtState::Established).into(),
        // A middle packet of an unknown connection is new or invalid, as the host is set up (nf_conntrack_tcp_loose);
        // odd flags are invalid to most kernels.
        (Some(true), Packet::Stray | Packet::OddOpening) => match (has(CtState::New), has(CtState::Invalid)) {
            (true, true) => Settled::Yes,
            (false, false) => Settled::No,
            _ => Settled::Unknown("it depends on how strictly connections are tracked".to_owned()),
        },
    };
    tracking(flow, has(CtState::Untracked), seen)
}
