//! The policy as data, and its answer to a question (the decision table of the profile format).

use crate::access::{
    Access, Bucket, Interface, Limits, Log, LogClass, Outcome, OutcomeId, Packet, Path, Pattern, Question, Refuse,
    Verdict,
};
use crate::net::{AddrSet, Cuts, Family};

use super::Feature;

/// The limits that one class of sources stands under. At least one of the two is there.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Limit {
    /// New connections in time.
    pub rate: Option<Bucket>,
    /// Connections open at once.
    pub concurrent: Option<u32>,
}

impl Limit {
    /// The larger of each limit; an absent one is the largest. None when nothing is limited any more.
    pub fn largest(a: Option<Self>, b: Option<Self>) -> Option<Self> {
        let (a, b) = (a?, b?);
        let rate = a.rate.zip(b.rate).map(|(x, y)| Bucket { rate: x.rate.max(y.rate), burst: x.burst.max(y.burst) });
        let concurrent = a.concurrent.zip(b.concurrent).map(|(x, y)| x.max(y));
        (rate.is_some() || concurrent.is_some()).then_some(Self { rate, concurrent })
    }
}

/// What a class of sources may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Nobody named them.
    Refused,
    /// Somebody blocked them, whoever trusts them.
    Blocked,
    /// They may connect, within the limit if there is one.
    Trusted(Option<Limit>),
}

/// A class as a number into [`Policy::classes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClassId(pub u16);

/// Both address spaces cut into classes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Partition {
    /// The IPv4 space.
    pub v4: Cuts<u32, ClassId>,
    /// The IPv6 space.
    pub v6: Cuts<u128, ClassId>,
}

impl Partition {
    /// The sources of one class.
    pub fn members(&self, class: ClassId) -> AddrSet {
        AddrSet { v4: self.v4.select(|c| c == class), v6: self.v6.select(|c| c == class) }
    }
}

/// A class of interfaces and the partition that holds for what comes in by them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    /// The names and wildcards of these interfaces; empty for "every other interface". An interface belongs to the first
    /// zone of [`Policy::zones`] that names it.
    pub patterns: Vec<Pattern>,
    /// Who may connect by them.
    pub partition: Partition,
}

/// Which forwarded connections are guarded.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Forwarded {
    /// None.
    #[default]
    No,
    /// Those that this host translates (DNAT) from a guarded port.
    Translated,
    /// Those, and also what it routes to a guarded port of these addresses.
    Routed(AddrSet),
}

/// What is logged of the refused.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogPolicy {
    /// How often at most, for each of the three prefixes by itself; none: every time.
    pub rate: Option<Bucket>,
}

/// Who may reach the guarded ports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// The guarded TCP ports, sorted, 1 to 15 of them.
    pub ports: Vec<u16>,
    /// Whether port 143 is closed to everybody (it is then not in `ports`).
    pub close_plaintext: bool,
    /// Which forwarded connections are guarded as well.
    pub forwarded: Forwarded,
    /// The interfaces that are guarded, sorted; empty: all but loopback.
    pub interfaces: Vec<Pattern>,
    /// How the untrusted are refused: [`Refuse::Drop`] or [`Refuse::Reset`].
    pub action: Refuse,
    /// What is logged of the refused; none: nothing.
    pub log: Option<LogPolicy>,
    /// The prefix length that counts as one IPv4 source.
    pub ipv4_prefix: u8,
    /// The prefix length that counts as one IPv6 source.
    pub ipv6_prefix: u8,
    /// Every class that a partition uses, sorted; [`Class::Refused`] and [`Class::Blocked`] are always the first two.
    pub classes: Vec<Class>,
    /// The classes of interfaces, the most special first; the last one has no patterns.
    pub zones: Vec<Zone>,
}

/// The port of plaintext IMAP, which `plaintext_imap` is about (RFC 3501).
pub(super) const IMAP: u16 = 143;

impl Policy {
    /// The number of [`Class::Refused`].
    pub const REFUSED: ClassId = ClassId(0);
    /// The number of [`Class::Blocked`].
    pub const BLOCKED: ClassId = ClassId(1);

    /// A class by its number.
    pub fn class(&self, id: ClassId) -> Class {
        self.classes[usize::from(id.0)]
    }

    /// The trusted classes with their numbers: first the exempt one, then by limit, tighter ones first.
    pub fn trusted_classes(&self) -> impl Iterator<Item = (ClassId, Option<Limit>)> + '_ {
        self.classes.iter().enumerate().filter_map(|(i, c)| match c {
            Class::Trusted(limit) => Some((ClassId(i as u16), *limit)),
            _ => None,
        })
    }

    /// Whether any source stands under a limit.
    pub fn has_limits(&self) -> bool {
        self.trusted_classes().any(|(_, l)| l.is_some())
    }

    /// Every port that is guarded or closed, sorted.
    pub fn all_ports(&self) -> Vec<u16> {
        let mut ports = self.ports.clone();
        if self.close_plaintext {
            ports.push(IMAP);
            ports.sort_unstable();
        }
        ports
    }

    /// Whether packets that come in by this interface are guarded.
    pub fn covers(&self, interface: &Interface) -> bool {
        *interface != Interface::Loopback
            && (self.interfaces.is_empty() || self.interfaces.iter().any(|p| interface.matches(p)))
    }

    /// The zone of an interface.
    pub fn zone(&self, interface: &Interface) -> &Zone {
        let last = self.zones.len() - 1;
        self.zones.iter().find(|z| z.patterns.iter().any(|p| interface.matches(p))).unwrap_or(&self.zones[last])
    }

    /// Every source that may connect by some interface, limited or not.
    pub fn trusted(&self) -> AddrSet {
        self.zones.iter().fold(AddrSet::new(), |set, zone| {
            self.trusted_classes().fold(set, |set, (id, _)| set.union(&zone.partition.members(id)))
        })
    }

    /// Whether a question is about a packet that is guarded at all.
    fn guards(&self, q: &Question) -> bool {
        let destination = match (q.path, &q.to, &self.forwarded) {
            (Path::Outside | Path::Input, ..) => true,
            // A host that has translated a connection knows which way it was opened; what it knows the other way round
            // is an answer, which goes out.
            (Path::Forwarded, None, Forwarded::Translated | Forwarded::Routed(_)) => q.packet != Packet::Adopted,
            (Path::Forwarded, Some(to), Forwarded::Routed(nets)) => nets.contains_all(&to.0),
            (Path::Forwarded, ..) => false,
        };
        destination
            && self.covers(&q.interface)
            && (self.ports.contains(&q.port) || (self.close_plaintext && q.port == IMAP))
    }

    /// What happens to a packet from each source: the decision table, for every class at once.
    pub fn answer(&self, q: &Question) -> Access {
        self.answer_with(q, |class, packet, family| self.decide(class, packet, family))
    }

    /// As [`Self::answer`], with another decision for the guarded packets (a target's known deviations).
    pub fn answer_with(&self, q: &Question, decide: impl Fn(Class, Packet, Family) -> Outcome) -> Access {
        if !self.guards(q) {
            return Access::uniform(Verdict::Accept);
        }
        let mut outcomes = Vec::new();
        for family in Family::ALL {
            outcomes.extend(self.classes.iter().map(|c| decide(*c, q.packet, family)));
        }
        let second = self.classes.len() as u32;
        let partition = &self.zone(&q.interface).partition;
        let (mut v4, mut v6) = if self.ports.contains(&q.port) {
            (partition.v4.map(|c| OutcomeId(u32::from(c.0))), partition.v6.map(|c| OutcomeId(u32::from(c.0) + second)))
        } else {
            // Closed plaintext: the same table with nobody trusted.
            (Cuts::uniform(OutcomeId(0)), Cuts::uniform(OutcomeId(second)))
        };
        if let Some(to) = &q.to {
            // To addresses of one family no packet of the other comes, and no rule is written for it.
            let unguarded = OutcomeId(outcomes.len() as u32);
            outcomes.push(Verdict::Accept.into());
            if to.0.v4.is_empty() {
                v4 = Cuts::uniform(unguarded);
            }
            if to.0.v6.is_empty() {
                v6 = Cuts::uniform(unguarded);
            }
        }
        Access::new(v4, v6, outcomes)
    }

    /// One row of the decision table (loopback, which never comes here, is accepted).
    pub fn decide(&self, class: Class, packet: Packet, family: Family) -> Outcome {
        let log = |class| self.log.map(|l| Log { class, rate: l.rate });
        let refuse = |log| Outcome { verdict: Verdict::Refuse(self.action), log, by: None };
        match (packet, class) {
            (Packet::Opening | Packet::OddOpening, Class::Blocked) => refuse(log(LogClass::Blocked)),
            (Packet::Opening | Packet::OddOpening, Class::Refused) => refuse(log(LogClass::Refused)),
            (Packet::Opening | Packet::OddOpening, Class::Trusted(Some(limit))) => {
                let prefix = match family {
                    Family::V4 => self.ipv4_prefix,
                    Family::V6 => self.ipv6_prefix,
                };
                let limits = Limits { rate: limit.rate, concurrent: limit.concurrent, prefix };
                Verdict::Limit { limits, over: self.action, over_log: log(LogClass::Limited) }.into()
            }
            (Packet::Known, Class::Blocked) | (Packet::Stray | Packet::Adopted, Class::Blocked | Class::Refused) => {
                refuse(None)
            }
            (_, Class::Trusted(_)) | (Packet::Known, Class::Refused) => Verdict::Accept.into(),
        }
    }

    /// The policy that is left when a target leaves a feature out.
    #[must_use]
    pub fn without(&self, feature: Feature) -> Self {
        let mut p = self.clone();
        match feature {
            Feature::Limits => return p.with_limits(|_| None),
            Feature::Burst => {
                return p
                    .with_limits(|l| Some(Limit { rate: l.rate.map(|b| Bucket { burst: b.rate.count, ..b }), ..l }));
            }
            Feature::Ipv4Prefix => p.ipv4_prefix = 32,
            Feature::Ipv6Prefix => p.ipv6_prefix = 128,
            Feature::Log => p.log = None,
            Feature::LogRate => p.log = p.log.map(|_| LogPolicy { rate: None }),
            Feature::Reject => p.action = Refuse::Drop,
            Feature::Forwarded => p.forwarded = Forwarded::No,
        }
        p
    }

    /// The same policy with other guarded interfaces.
    #[must_use]
    pub fn with_interfaces(&self, interfaces: &[Pattern]) -> Self {
        Self { interfaces: super::build::outermost(interfaces), ..self.clone() }
    }

    /// The policy that this one becomes when nobody is trusted any more (`apply --closed`, `closed = true`).
    #[must_use]
    pub fn closed(&self) -> Self {
        self.clone().relabel(|c| if matches!(c, Class::Trusted(_)) { Class::Refused } else { c })
    }

    fn with_limits(self, f: impl Fn(Limit) -> Option<Limit>) -> Self {
        self.relabel(|c| match c {
            Class::Trusted(Some(limit)) => Class::Trusted(f(limit)),
            other => other,
        })
    }
}
