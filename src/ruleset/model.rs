//! The ruleset as data.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use crate::access::{Bucket, Log, Pattern, Refuse, RuleId};
use crate::net::{AddrSet, Family};

use super::mark::{Change, Mark};

/// A chain as a number into [`Ruleset::chains`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ChainId(pub u32);

/// The point of a packet's way at which a stage stands, in the order in which they are passed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Hook {
    /// As it comes from the device, before anything else (netdev ingress).
    Ingress,
    /// Before routing.
    Prerouting,
    /// To this host.
    Input,
    /// Through this host.
    Forward,
}

/// Where a rule was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Origin {
    /// The table and chain, anchor or store: `inet filter input`.
    pub place: Arc<str>,
    /// The line of the listing, counted from 1; 0 where there is none.
    pub line: u32,
    /// The handle that the firewall knows the rule by.
    pub handle: Option<u64>,
    /// The rule as it was listed, without blanks around; long ones are cut.
    pub text: String,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)?;
        if let Some(handle) = self.handle {
            write!(f, " handle {handle}")?;
        } else if self.line > 0 {
            write!(f, " line {}", self.line)?;
        }
        write!(f, ": {}", self.text)
    }
}

/// A set of TCP ports as sorted closed ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ports(pub Vec<(u16, u16)>);

impl Ports {
    /// One port.
    pub fn one(port: u16) -> Self {
        Self(vec![(port, port)])
    }

    /// Whether the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|(a, b)| (*a..=*b).contains(&port))
    }

    /// Whether every port is in the set.
    pub fn is_all(&self) -> bool {
        let mut next = Some(0u16);
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        for (a, b) in sorted {
            match next {
                Some(n) if a <= n => next = if b >= n { b.checked_add(1) } else { next },
                Some(_) => return false,
                None => return true,
            }
        }
        next.is_none()
    }
}

/// A set of connection states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CtState {
    /// No connection is known.
    New,
    /// It belongs to a known connection, in either direction.
    Established,
    /// It belongs to a connection that a known one has announced.
    Related,
    /// It makes no sense in any connection.
    Invalid,
    /// Connection tracking was switched off for it.
    Untracked,
}

/// A limit for each source and port: the packet is *within* it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Within {
    /// New connections in time.
    Rate {
        /// The bucket of each source.
        bucket: Bucket,
        /// The prefix length that counts as one source.
        prefix: u8,
    },
    /// Connections open at once.
    Concurrent {
        /// How many of each source.
        count: u32,
        /// The prefix length that counts as one source.
        prefix: u8,
    },
}

/// A test of a packet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Match {
    /// Always true.
    Always,
    /// Never true.
    Never,
    /// The source is in the set; an address of the other family is not. (A test of IPv4 sources is false for IPv6.)
    Source(Arc<AddrSet>),
    /// The destination, as it is at this stage, is in the set.
    Destination(Arc<AddrSet>),
    /// The destination is an address of this host.
    DestinationLocal,
    /// The packet came in by an interface that one of the patterns matches.
    Interface(Vec<Pattern>),
    /// The packet is of this family.
    Family(Family),
    /// The destination port, as it is at this stage.
    Port(Ports),
    /// The destination port before any translation.
    OriginalPort(Ports),
    /// The source port (known only where the set is every port).
    SourcePort(Ports),
    /// The TCP flags under a mask have this value.
    Flags {
        /// The flags that are looked at.
        mask: u8,
        /// What they must be.
        value: u8,
    },
    /// The connection is in one of the states.
    State(BTreeSet<CtState>),
    /// The packet goes in the direction in which the connection was opened.
    DirectionOriginal,
    /// The connection's destination has been translated.
    Translated,
    /// A mark has this value under a mask (zero, unless a rule has set it).
    Mark {
        /// Which.
        mark: Mark,
        /// The bits that are looked at.
        mask: u32,
        /// What they must be.
        value: u32,
    },
    /// Tracking has put the packet into a connection: tests of connections are made of these only.
    Connection,
    /// The packet keeps within a limit for each source and port.
    Within(Within),
    /// Not.
    Not(Box<Match>),
    /// All of them.
    All(Vec<Match>),
    /// Any of them.
    Any(Vec<Match>),
    /// A test that is not modelled, and why it is not: the addresses that depend on it are unknown.
    Unknown(String),
}

impl Match {
    /// The opposite test.
    #[must_use]
    pub fn negate(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            Self::Always => Self::Never,
            Self::Never => Self::Always,
            other => Self::Not(Box::new(other)),
        }
    }

    /// Whether it depends on a mark.
    pub fn looks_at_marks(&self) -> bool {
        self.any(&|m| matches!(m, Self::Mark { .. }))
    }

    /// Whether it depends on what connection tracking makes of the packet.
    pub fn looks_at_tracking(&self) -> bool {
        self.any(&|m| matches!(m, Self::State(_) | Self::Connection))
    }

    /// Whether a part of it is wanted.
    pub fn any(&self, wanted: &impl Fn(&Self) -> bool) -> bool {
        match self {
            Self::Not(inner) => inner.any(wanted),
            Self::All(inner) | Self::Any(inner) => inner.iter().any(|m| m.any(wanted)),
            one => wanted(one),
        }
    }
}

/// A change of destination (DNAT, redirect).
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Rewrite {
    /// The new destination; none: this host (redirect).
    pub to: Option<AddrSet>,
    /// The new port; none: unchanged.
    pub port: Option<u16>,
}

/// What a rule does with a packet that it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Then {
    /// Goes on with the next rule (it only counted, logged or marked).
    Continue,
    /// Lets the packet pass this stage.
    Accept,
    /// Refuses it for good.
    Refuse(Refuse),
    /// Goes through another chain and comes back when that one ends.
    Jump(ChainId),
    /// Goes through another chain and ends this one.
    Goto(ChainId),
    /// Ends this chain.
    Return,
    /// Changes the destination and lets the packet pass this stage.
    Rewrite(Box<Rewrite>),
    /// Changes what the packet carries and goes on.
    Change(Change),
    /// Something that is not modelled, and why: whatever could follow is unknown.
    Unknown(String),
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// The tests, all of which must hold, in the order in which they are made.
    pub matches: Vec<Match>,
    /// The line that it logs.
    pub log: Option<Log>,
    /// What it does.
    pub then: Then,
    /// Where it was read, as a number into [`Ruleset::origins`].
    pub origin: RuleId,
}

/// A list of rules that others jump to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Chain {
    /// Its name, with the table where there are tables.
    pub name: String,
    /// Its rules, in order.
    pub rules: Vec<Rule>,
}

/// A base chain: where a packet enters, and what happens at its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stage {
    /// How reports name it: `inet filter input`.
    pub name: String,
    /// The point of the packet's way.
    pub hook: Hook,
    /// The order inside of the hook, lower first; equal ones in the order of [`Ruleset::stages`].
    pub priority: i32,
    /// The one family that it sees; none: both.
    pub family: Option<Family>,
    /// Whether it sees only packets that open a tracked connection, and rewrites (a `nat` chain).
    pub nat: bool,
    /// The chain that packets enter.
    pub chain: ChainId,
    /// What happens to a packet that falls off its end.
    pub policy: Then,
    /// Whether the stage is one of harden993's own objects.
    pub ours: bool,
}

/// The priority at which connection tracking has its turn before routing (`NF_IP_PRI_CONNTRACK` of `linux/netfilter_ipv4.h`).
const TRACKING: i32 = -200;

impl Stage {
    /// Whether connection tracking has had its turn before this stage; none: not known, since the order of equal priorities is
    /// that in which they were registered.
    pub(super) fn after_tracking(&self) -> Option<bool> {
        match self.hook {
            Hook::Ingress => Some(false),
            Hook::Prerouting if self.priority == TRACKING => None,
            Hook::Prerouting => Some(self.priority > TRACKING),
            Hook::Input | Hook::Forward => Some(true),
        }
    }
}

/// What a firewall holds.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Ruleset {
    /// The stages; [`Ruleset::path`] gives those of one way in order.
    pub stages: Vec<Stage>,
    /// Every chain.
    pub chains: Vec<Chain>,
    /// Where each rule was read.
    pub origins: Vec<Origin>,
    /// The policy digest that our own objects carry, if they carry one.
    pub digest: Option<String>,
    /// What was read but could not be taken as it stands, for the user: each line one sentence.
    pub remarks: Vec<String>,
    /// A hash set that was listed with an element twice, which no set has: the listing is torn, and may miss as many others.
    ///
    /// The kernel lists a set in parts, and begins each part where the one before it ended by counting elements from the
    /// start of the hash table (`nft_rhash_walk` of `net/netfilter/nft_set_hash.c`). A worker makes the table larger after
    /// many elements were added; if that falls between two parts the order is another one, so that some elements come twice
    /// and others not at all. It is no commit, so the generation number does not tell it.
    pub torn: Option<String>,
}

impl Ruleset {
    /// Adds an empty chain.
    pub fn chain(&mut self, name: impl Into<String>) -> ChainId {
        self.chains.push(Chain { name: name.into(), rules: Vec::new() });
        ChainId((self.chains.len() - 1) as u32)
    }

    /// Makes room for so many more rules of a chain that this ruleset has.
    pub fn reserve(&mut self, chain: ChainId, rules: usize) {
        self.origins.reserve_exact(rules);
        if let Some(chain) = self.chains.get_mut(chain.0 as usize) {
            chain.rules.reserve_exact(rules);
        }
    }

    /// Adds where a rule was read.
    pub fn origin(&mut self, origin: Origin) -> RuleId {
        self.origins.push(origin);
        RuleId((self.origins.len() - 1) as u32)
    }

    /// Appends a rule to a chain that this ruleset has.
    pub fn push(&mut self, chain: ChainId, rule: Rule) {
        if let Some(chain) = self.chains.get_mut(chain.0 as usize) {
            chain.rules.push(rule);
        }
    }

    /// Takes in everything that another ruleset of the same host holds.
    pub fn join(&mut self, other: Self) {
        let (chains, origins) = (self.chains.len() as u32, self.origins.len() as u32);
        let shift = |id: ChainId| ChainId(id.0 + chains);
        self.stages.extend(other.stages.into_iter().map(|s| Stage { chain: shift(s.chain), ..s }));
        self.chains.extend(other.chains.into_iter().map(|mut chain| {
            for rule in &mut chain.rules {
                rule.origin = RuleId(rule.origin.0 + origins);
                rule.then = match std::mem::replace(&mut rule.then, Then::Continue) {
                    Then::Jump(id) => Then::Jump(shift(id)),
                    Then::Goto(id) => Then::Goto(shift(id)),
                    then => then,
                };
            }
            chain
        }));
        self.origins.extend(other.origins);
        self.digest = self.digest.take().or(other.digest);
        self.remarks.extend(other.remarks);
        self.torn = self.torn.take().or(other.torn);
    }

    /// Where a rule was read.
    pub fn origin_of(&self, rule: RuleId) -> Option<&Origin> {
        self.origins.get(rule.0 as usize)
    }

    /// The stages at one hook for one family, in the order in which a packet passes them.
    pub fn path(&self, hook: Hook, family: Family) -> Vec<&Stage> {
        let mut stages: Vec<&Stage> =
            self.stages.iter().filter(|s| s.hook == hook && s.family.is_none_or(|f| f == family)).collect();
        stages.sort_by_key(|s| s.priority);
        stages
    }

    /// Every name and wildcard of an interface that a rule tests: the interfaces among which an answer can differ.
    pub fn interfaces(&self) -> BTreeSet<Pattern> {
        fn collect(m: &Match, out: &mut BTreeSet<Pattern>) {
            match m {
                Match::Interface(patterns) => out.extend(patterns.iter().cloned()),
                Match::Not(inner) => collect(inner, out),
                Match::All(inner) | Match::Any(inner) => inner.iter().for_each(|m| collect(m, out)),
                _ => {}
            }
        }
        let mut out = BTreeSet::new();
        self.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.matches).for_each(|m| collect(m, &mut out));
        out
    }
}
