//! A test asked of a question: what is settled for every source, what depends on the source, what is unknown.

use std::collections::BTreeSet;

use crate::access::{Interface, Packet, RuleId};
use crate::net::{Addr, AddrSet, Cuts};

use super::diagram::{Condition, Diagrams, Node};
use super::{CtState, Match, Ports};

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
    /// Whether some rule of the ruleset sets marks.
    pub(super) marks_set: bool,
    /// Whether some rule may have switched tracking off for the packet.
    pub(super) untracked: bool,
    /// Whether connection tracking has had its turn at this stage; none: not known.
    pub(super) tracked: Option<bool>,
}

impl Flow {
    /// Whether the packet surely belongs to a connection that rules can ask about.
    fn has_connection(&self) -> bool {
        self.tracked == Some(true) && !self.untracked
    }
}

/// The reason of what is unknown because the question names no destination.
pub const DESTINATION: &str = "it depends on the destination address";

/// The reason of what is unknown because the packet may have no connection yet, or none at all.
const TRACKED: &str = "it depends on whether the connection is tracked";

/// What is settled of a test that does not look at the source.
enum Settled {
    Yes,
    No,
    Unknown(String),
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
        _ => Cuts::uniform(match settle::<A>(m, flow) {
            Settled::Yes => Node::TRUE,
            Settled::No => Node::FALL,
            Settled::Unknown(because) => d.condition(Condition::Unknown { because, rule }),
        }),
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
        Match::Never => Settled::No,
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
        // Without a connection these are neither true nor false: nftables ends the rule (`NFT_BREAK` of `nft_ct_get_eval`).
        Match::OriginalPort(_) | Match::DirectionOriginal | Match::Translated if !flow.has_connection() => {
            Settled::Unknown(TRACKED.to_owned())
        }
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
        Match::MarkZero => {
            if flow.marks_set {
                Settled::Unknown("it depends on a mark that another rule sets".to_owned())
            } else {
                Settled::Yes
            }
        }
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

fn state(states: &BTreeSet<CtState>, flow: &Flow) -> Settled {
    match flow.tracked {
        Some(true) => {}
        // What has not been looked at yet is invalid (`nft_ct_get_eval`, `conntrack_mt`).
        Some(false) => return states.contains(&CtState::Invalid).into(),
        None => return Settled::Unknown(TRACKED.to_owned()),
    }
    if flow.untracked {
        let other = states.iter().any(|s| *s != CtState::Untracked);
        return match (states.contains(&CtState::Untracked), other) {
            (true, true) => Settled::Yes,
            (false, false) => Settled::No,
            _ => Settled::Unknown(TRACKED.to_owned()),
        };
    }
    match flow.packet {
        Packet::Opening => states.contains(&CtState::New).into(),
        Packet::Known | Packet::Adopted => states.contains(&CtState::Established).into(),
        // A middle packet of an unknown connection is new or invalid, as the host is set up (nf_conntrack_tcp_loose);
        // odd flags are invalid to most kernels.
        Packet::Stray | Packet::OddOpening => {
            match (states.contains(&CtState::New), states.contains(&CtState::Invalid)) {
                (true, true) => Settled::Yes,
                (false, false) => Settled::No,
                _ => Settled::Unknown("it depends on how strictly connections are tracked".to_owned()),
            }
        }
    }
}
