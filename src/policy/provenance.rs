//! Where an address comes from: entry, file and line, asked when somebody wants to know.

use std::net::IpAddr;

use crate::net::{Addr, AddrSet, Family, Network, Ranges, Span};

/// What an entry does with the networks that it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SourceKind {
    /// It trusts them.
    Trusted,
    /// It carves them out of a trusted entry (`except`).
    Except,
    /// It blocks them.
    Blocked,
}

/// One place that names networks, and what it says of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    /// The entry's name.
    pub entry: String,
    /// What it does.
    pub kind: SourceKind,
    /// The interfaces of the entry's `via`, as text; empty: any.
    pub via: Vec<crate::access::Pattern>,
    /// Whether it counts today (an expired entry does not).
    pub in_force: bool,
    /// The file, as it was named.
    pub file: String,
}

/// An index from addresses to the lines that name them.
#[derive(Clone, Default, Debug)]
pub struct Provenance {
    sources: Vec<Source>,
    v4: Vec<Line<u32>>,
    v6: Vec<Line<u128>>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Line<A> {
    span: Span<A>,
    line: u32,
    source: u32,
}

impl Provenance {
    /// Adds a place; its number is for [`Self::add`].
    pub fn source(&mut self, source: Source) -> u32 {
        self.sources.push(source);
        (self.sources.len() - 1) as u32
    }

    /// Adds a network that a place names on a line (counted from 1).
    pub fn add(&mut self, source: u32, line: u32, network: Network) {
        match network {
            Network::V4(span) => self.v4.push(Line { span, line, source }),
            Network::V6(span) => self.v6.push(Line { span, line, source }),
        }
    }

    /// Every line that names the address, the most special network first.
    pub fn of(&self, ip: IpAddr) -> Vec<(&Source, u32, Network)> {
        match ip {
            IpAddr::V4(a) => self.find(&self.v4, u32::from(a), Network::V4),
            IpAddr::V6(a) => self.find(&self.v6, u128::from(a), Network::V6),
        }
    }

    fn find<A: Addr>(&self, lines: &[Line<A>], a: A, network: fn(Span<A>) -> Network) -> Vec<(&Source, u32, Network)> {
        let mut found: Vec<&Line<A>> = lines.iter().filter(|l| l.span.contains(a)).collect();
        found.sort_by_key(|l| (A::distance(l.span.first, l.span.last), **l));
        found.into_iter().map(|l| (&self.sources[l.source as usize], l.line, network(l.span))).collect()
    }

    /// The networks that places of one kind name.
    pub fn networks(&self, mut wanted: impl FnMut(&Source) -> bool) -> AddrSet {
        let wanted: Vec<bool> = self.sources.iter().map(&mut wanted).collect();
        fn pick<A: Addr>(lines: &[Line<A>], wanted: &[bool]) -> Ranges<A> {
            lines.iter().filter(|l| wanted[l.source as usize]).map(|l| l.span).collect()
        }
        AddrSet { v4: pick(&self.v4, &wanted), v6: pick(&self.v6, &wanted) }
    }

    /// The addresses at which the lines that name them change, inside of a span: the boundaries at which an explanation
    /// of a network must be cut.
    pub fn boundaries(&self, family: Family) -> Vec<u128> {
        fn ends<A: Addr>(lines: &[Line<A>], number: fn(A) -> u128) -> Vec<u128> {
            let mut out: Vec<u128> =
                lines.iter().flat_map(|l| [Some(l.span.first), l.span.last.next()]).flatten().map(number).collect();
            out.sort_unstable();
            out.dedup();
            out
        }
        match family {
            Family::V4 => ends(&self.v4, u128::from),
            Family::V6 => ends(&self.v6, |n| n),
        }
    }
}
