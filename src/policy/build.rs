//! From a draft (grants in any order) to the one minimal policy.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::access::{Pattern, Refuse};
use crate::net::{Addr, AddrSet, Cuts, Ranges};

use super::model::IMAP;
use super::{Class, ClassId, Forwarded, Limit, LogPolicy, Partition, Policy, Zone};

/// One entry that trusts somebody.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// The sources (after `except`).
    pub sources: AddrSet,
    /// The interfaces that they must come in by; empty: any.
    pub via: Vec<Pattern>,
    /// Their limit; none: exempt.
    pub limit: Option<Limit>,
}

/// Everything that makes a policy, in any order and with overlaps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// The guarded ports.
    pub ports: Vec<u16>,
    /// Whether port 143 is closed.
    pub close_plaintext: bool,
    /// Which forwarded connections are guarded.
    pub forwarded: Forwarded,
    /// The guarded interfaces; empty: all but loopback.
    pub interfaces: Vec<Pattern>,
    /// How the untrusted are refused.
    pub action: Refuse,
    /// What is logged.
    pub log: Option<LogPolicy>,
    /// What counts as one IPv4 source.
    pub ipv4_prefix: u8,
    /// What counts as one IPv6 source.
    pub ipv6_prefix: u8,
    /// Who is trusted.
    pub grants: Vec<Grant>,
    /// Who is blocked, whoever trusts them.
    pub blocked: AddrSet,
}

impl Default for Draft {
    /// Port 993 closed to everybody, dropping, with the default log.
    fn default() -> Self {
        use crate::access::{Bucket, Per, Rate};
        Self {
            ports: vec![993],
            close_plaintext: false,
            forwarded: Forwarded::No,
            interfaces: Vec::new(),
            action: Refuse::Drop,
            log: Some(LogPolicy { rate: Some(Bucket { rate: Rate::new(10, Per::Minute), burst: 10 }) }),
            ipv4_prefix: 32,
            ipv6_prefix: 64,
            grants: Vec::new(),
            blocked: AddrSet::new(),
        }
    }
}

impl Draft {
    /// The policy of this draft.
    ///
    /// ```
    /// use harden993::policy::{Draft, Grant};
    /// let grant = |net: &str| Grant { sources: net.parse().unwrap(), via: vec![], limit: None };
    /// let one = Draft { grants: vec![grant("192.0.2.0/24")], ..Draft::default() }.lower();
    /// let two = Draft { grants: vec![grant("192.0.2.128/25"), grant("192.0.2.0/25")], ..Draft::default() }.lower();
    /// assert_eq!(one, two);
    /// assert_eq!(one.digest(), two.digest());
    /// ```
    pub fn lower(self) -> Policy {
        let mut patterns: Vec<Pattern> = self.grants.iter().flat_map(|g| g.via.iter().cloned()).collect();
        patterns.sort_by(|a, b| a.specificity().cmp(&b.specificity()));
        patterns.dedup();
        let mut table = Table::default();
        let mut zones: Vec<Zone> = Vec::new();
        // From the most general to the most special, so that a zone that says nothing new is known as such.
        for pattern in std::iter::once(None).chain(patterns.iter().rev().map(Some)) {
            let holds = |g: &&Grant| g.via.is_empty() || pattern.is_some_and(|p| g.via.iter().any(|v| v.covers(p)));
            let grants: Vec<&Grant> = self.grants.iter().filter(holds).collect();
            let partition = Partition { v4: table.cut(&grants, &self.blocked), v6: table.cut(&grants, &self.blocked) };
            let Some(pattern) = pattern else {
                zones.push(Zone { patterns: Vec::new(), partition });
                continue;
            };
            // Deeper zones stand later here, so the last one that covers the pattern is the one that it would fall to.
            let parent =
                zones.iter().rev().find(|z| z.patterns.is_empty() || z.patterns.iter().any(|p| p.covers(pattern)));
            if parent.is_some_and(|z| z.partition == partition) {
                continue;
            }
            // Plain names never overlap, so those of one partition are one zone.
            let same = zones.iter_mut().find(|z| {
                !pattern.is_wildcard()
                    && z.partition == partition
                    && z.patterns.first().is_some_and(|p| !p.is_wildcard())
            });
            match same {
                Some(zone) => zone.patterns.push(pattern.clone()),
                None => zones.push(Zone { patterns: vec![pattern.clone()], partition }),
            }
        }
        zones.reverse();
        for zone in &mut zones {
            zone.patterns.sort();
        }
        let key = |z: &Zone| {
            let first = z.patterns.first().cloned();
            first.map(|p| (p.is_wildcard(), std::cmp::Reverse(if p.is_wildcard() { p.text().len() } else { 0 }), p))
        };
        zones.sort_by_key(|z| (z.patterns.is_empty(), key(z)));
        let mut ports = self.ports;
        ports.sort_unstable();
        ports.dedup();
        let close_plaintext = self.close_plaintext && !ports.contains(&IMAP);
        let interfaces = outermost(&self.interfaces);
        let policy = Policy {
            ports,
            close_plaintext,
            forwarded: self.forwarded,
            interfaces,
            action: self.action,
            log: self.log,
            ipv4_prefix: self.ipv4_prefix,
            ipv6_prefix: self.ipv6_prefix,
            classes: table.classes,
            zones,
        };
        policy.relabel(|c| c)
    }
}

/// The patterns that no other one covers, sorted.
pub(super) fn outermost(patterns: &[Pattern]) -> Vec<Pattern> {
    let mut out: Vec<Pattern> =
        patterns.iter().filter(|p| !patterns.iter().any(|q| q != *p && q.covers(p))).cloned().collect();
    out.sort();
    out.dedup();
    out
}

/// Classes by number, while a policy is built.
struct Table {
    classes: Vec<Class>,
    numbers: BTreeMap<Class, ClassId>,
}

impl Default for Table {
    fn default() -> Self {
        let mut table = Self { classes: Vec::new(), numbers: BTreeMap::new() };
        table.number(Class::Refused);
        table.number(Class::Blocked);
        table
    }
}

impl Table {
    fn number(&mut self, class: Class) -> ClassId {
        let next = ClassId(self.classes.len() as u16);
        *self.numbers.entry(class).or_insert_with(|| {
            self.classes.push(class);
            next
        })
    }

    fn cut<A: Addr>(&mut self, grants: &[&Grant], blocked: &AddrSet) -> Cuts<A, ClassId> {
        let mut by_limit: BTreeMap<Option<Limit>, Vec<&Ranges<A>>> = BTreeMap::new();
        for grant in grants {
            by_limit.entry(grant.limit).or_default().push(grant.sources.ranges::<A>());
        }
        // One entry with a large list is the common case, and is not copied.
        let mut by_limit = by_limit.into_iter().map(|(limit, sets)| {
            if let [one] = sets[..] {
                return (limit, Cow::Borrowed(one));
            }
            let spans = sets.into_iter().flat_map(Ranges::spans).copied().collect();
            (limit, Cow::Owned(Ranges::from_spans(spans)))
        });
        let mut cuts = match by_limit.next() {
            None => Cuts::uniform(Policy::REFUSED),
            Some((limit, set)) => Cuts::of_set(&set, self.number(Class::Trusted(limit)), Policy::REFUSED),
        };
        for (limit, set) in by_limit {
            cuts = cuts.zip(&Cuts::of_set(&set, true, false), |c, inside| {
                match (inside, self.classes[usize::from(c.0)]) {
                    (false, _) => c,
                    (true, Class::Trusted(other)) => self.number(Class::Trusted(Limit::largest(other, limit))),
                    (true, _) => self.number(Class::Trusted(limit)),
                }
            });
        }
        if blocked.ranges::<A>().is_empty() {
            return cuts;
        }
        cuts.overlay(blocked.ranges(), Policy::BLOCKED)
    }
}

impl Policy {
    /// The same policy with each class replaced, brought to its one normal form: classes sorted, unused ones gone.
    pub(super) fn relabel(mut self: Policy, f: impl Fn(Class) -> Class) -> Policy {
        let mut used = vec![false; self.classes.len()];
        for zone in &self.zones {
            for class in zone.partition.v4.iter().map(|c| c.class).chain(zone.partition.v6.iter().map(|c| c.class)) {
                used[usize::from(class.0)] = true;
            }
        }
        let mut classes: Vec<Class> = self.classes.iter().zip(used).filter(|(_, u)| *u).map(|(c, _)| f(*c)).collect();
        classes.extend([Class::Refused, Class::Blocked]);
        classes.sort_unstable();
        classes.dedup();
        let map: Vec<ClassId> = self
            .classes
            .iter()
            .map(|c| classes.binary_search(&f(*c)).map_or(Self::REFUSED, |i| ClassId(i as u16)))
            .collect();
        if map.iter().enumerate().any(|(i, c)| usize::from(c.0) != i) {
            for zone in &mut self.zones {
                zone.partition.v4 = zone.partition.v4.map(|c| map[usize::from(c.0)]);
                zone.partition.v6 = zone.partition.v6.map(|c| map[usize::from(c.0)]);
            }
        }
        self.classes = classes;
        self
    }
}
