//! Where an address comes from: entry, file and line, asked when somebody wants to know.

use std::net::IpAddr;
use std::sync::OnceLock;

use crate::access::Pattern;
use crate::net::{Addr, AddrSet, Network, Ranges, Span};

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
    /// The interfaces of the entry's `via`; empty: any.
    pub via: Vec<Pattern>,
    /// Whether it counts today (an expired entry does not).
    pub in_force: bool,
    /// The file, as messages name it.
    pub file: String,
}

/// One network where it is named.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Line<A> {
    /// The network.
    pub span: Span<A>,
    /// The line, counted from 1.
    pub line: u32,
    /// The number of its [`Source`].
    pub source: u32,
}

/// An index from addresses to the lines that name them: one sorted vector a family, and for each line the nearest one
/// before it that reaches further, so that a look-up passes over everything that ends too early.
///
/// ```
/// use harden993::policy::{Provenance, Source, SourceKind};
/// let mut draft = Provenance::draft();
/// let file = Source { entry: "office".into(), kind: SourceKind::Trusted, via: vec![], in_force: true, file: "p.toml".into() };
/// let office = draft.source(file);
/// draft.add(office, 7, harden993::net::parse_network(b"192.0.2.0/24").unwrap());
/// let index = draft.finish();
/// let (source, line, network) = index.of("192.0.2.1".parse().unwrap())[0];
/// assert_eq!((source.entry.as_str(), line, network.to_string()), ("office", 7, "192.0.2.0/24".into()));
/// ```
#[derive(Clone, Default, Debug)]
pub struct Provenance {
    sources: Vec<Source>,
    v4: Index<u32>,
    v6: Index<u128>,
}

/// The lines of one family.
#[derive(Clone, Debug)]
struct Index<A> {
    lines: Vec<Line<A>>,
    /// For each line the nearest one before it whose last address is higher, plus one; 0: none. Worked out by the first
    /// look-up: most runs have none.
    beyond: OnceLock<Vec<u32>>,
}

impl<A> Default for Index<A> {
    fn default() -> Self {
        Self { lines: Vec::new(), beyond: OnceLock::new() }
    }
}

/// A [`Provenance`] that is being filled.
#[derive(Default, Debug)]
pub struct ProvenanceDraft {
    sources: Vec<Source>,
    v4: Vec<Line<u32>>,
    v6: Vec<Line<u128>>,
}

impl ProvenanceDraft {
    /// Adds a place; its number is for [`Self::add`] and [`Self::extend`].
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

    /// Adds all networks that a place names, and says which they are. Whatever source the lines have is replaced.
    pub fn extend(&mut self, source: u32, v4: Vec<Line<u32>>, v6: Vec<Line<u128>>) -> (Ranges<u32>, Ranges<u128>) {
        (append(&mut self.v4, source, v4), append(&mut self.v6, source, v6))
    }

    /// The index.
    pub fn finish(self) -> Provenance {
        Provenance { sources: self.sources, v4: Index::new(self.v4), v6: Index::new(self.v6) }
    }
}

/// The order of an index. Of networks with one start the widest comes first: what holds another stands before it.
fn order<A: Addr>(l: &Line<A>) -> impl Ord + use<A> {
    (l.span.first, std::cmp::Reverse(l.span.last), l.source, l.line)
}

/// Sorts lines once, for their union and for the index, whose stable sort takes them as one run.
fn append<A: Addr>(all: &mut Vec<Line<A>>, source: u32, mut lines: Vec<Line<A>>) -> Ranges<A> {
    for line in &mut lines {
        line.source = source;
    }
    lines.sort_unstable_by_key(order);
    let union = Ranges::from_ordered(lines.iter().map(|l| l.span));
    if all.is_empty() {
        *all = lines;
    } else {
        all.append(&mut lines);
    }
    union
}

impl<A: Addr> Index<A> {
    fn new(mut lines: Vec<Line<A>>) -> Self {
        // Stable, because that merges the sorted runs which the places come in.
        lines.sort_by_key(order);
        Self { lines, beyond: OnceLock::new() }
    }

    fn beyond(&self) -> &[u32] {
        self.beyond.get_or_init(|| {
            let mut beyond: Vec<u32> = Vec::with_capacity(self.lines.len());
            for (i, line) in self.lines.iter().enumerate() {
                let mut before = i as u32;
                while before > 0 && self.lines[before as usize - 1].span.last <= line.span.last {
                    before = beyond[before as usize - 1];
                }
                beyond.push(before);
            }
            beyond
        })
    }

    /// The lines that hold an address, in no order that matters.
    fn holding(&self, a: A) -> Vec<&Line<A>> {
        let mut at = self.lines.partition_point(|l| l.span.first <= a);
        let mut found = Vec::new();
        while at > 0 {
            let line = &self.lines[at - 1];
            at = if line.span.last >= a {
                found.push(line);
                at - 1
            } else {
                self.beyond()[at - 1] as usize
            };
        }
        found
    }

    fn boundaries(&self, within: Span<A>) -> Vec<A> {
        let from = self.lines.partition_point(|l| l.span.first < within.first);
        let to = self.lines.partition_point(|l| l.span.first <= within.last);
        // Lines that start before the span matter where they end inside of it; those that hold its start are all of them.
        let inside = self.lines[from..to].iter().chain(self.holding(within.first));
        let ends = inside.flat_map(|l| [Some(l.span.first), l.span.last.next()]).flatten();
        let mut out: Vec<A> = ends.filter(|a| within.first < *a && *a <= within.last).collect();
        out.sort_unstable();
        out.dedup();
        out
    }

    fn pick(&self, wanted: &[bool]) -> Ranges<A> {
        self.lines.iter().filter(|l| wanted[l.source as usize]).map(|l| l.span).collect()
    }
}

impl Provenance {
    /// An empty index, to be filled.
    pub fn draft() -> ProvenanceDraft {
        ProvenanceDraft::default()
    }

    /// Every place, by its number.
    pub fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Every IPv4 line, sorted by its network's start; of one start the widest first.
    pub fn v4(&self) -> &[Line<u32>] {
        &self.v4.lines
    }

    /// Every IPv6 line, sorted as [`Self::v4`].
    pub fn v6(&self) -> &[Line<u128>] {
        &self.v6.lines
    }

    /// Every line that names the address, the most special network first.
    pub fn of(&self, ip: IpAddr) -> Vec<(&Source, u32, Network)> {
        match ip {
            IpAddr::V4(a) => self.find(&self.v4, u32::from(a), Network::V4),
            IpAddr::V6(a) => self.find(&self.v6, u128::from(a), Network::V6),
        }
    }

    fn find<A: Addr>(&self, index: &Index<A>, a: A, network: fn(Span<A>) -> Network) -> Vec<(&Source, u32, Network)> {
        let mut found = index.holding(a);
        found.sort_by_key(|l| (A::distance(l.span.first, l.span.last), **l));
        found.into_iter().map(|l| (&self.sources[l.source as usize], l.line, network(l.span))).collect()
    }

    /// The networks that the wanted places name.
    pub fn networks(&self, wanted: impl FnMut(&Source) -> bool) -> AddrSet {
        let wanted: Vec<bool> = self.sources.iter().map(wanted).collect();
        AddrSet { v4: self.v4.pick(&wanted), v6: self.v6.pick(&wanted) }
    }

    /// The parts of a network in which the same lines name every address: where an explanation of it must be cut.
    pub fn parts(&self, network: Network) -> Vec<Network> {
        fn cut<A: Addr>(index: &Index<A>, within: Span<A>, network: fn(Span<A>) -> Network) -> Vec<Network> {
            let starts = index.boundaries(within);
            let firsts = std::iter::once(within.first).chain(starts.iter().copied());
            let lasts = starts.iter().filter_map(|a| a.prev()).chain([within.last]);
            firsts.zip(lasts).map(|(first, last)| network(Span { first, last })).collect()
        }
        match network {
            Network::V4(span) => cut(&self.v4, span, Network::V4),
            Network::V6(span) => cut(&self.v6, span, Network::V6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn index(spans: &[(u32, u32)]) -> Provenance {
        let mut draft = Provenance::draft();
        let source =
            Source { entry: "a".into(), kind: SourceKind::Trusted, via: vec![], in_force: true, file: "f".into() };
        let source = draft.source(source);
        for (line, (a, b)) in (1..).zip(spans) {
            draft.add(source, line, Network::V4(Span::new(*a, *b)));
        }
        draft.finish()
    }

    proptest! {
        #[test]
        fn a_look_up_finds_what_a_search_finds(
            spans in proptest::collection::vec((0u32..40, 0u32..40), 0..30),
            a in 0u32..42,
        ) {
            let found = index(&spans).of(IpAddr::V4(a.into())).iter().map(|f| f.1).collect::<std::collections::BTreeSet<_>>();
            let all = (1u32..).zip(&spans).filter(|(_, (x, y))| Span::new(*x, *y).contains(a)).map(|(line, _)| line);
            prop_assert_eq!(found, all.collect());
        }

        #[test]
        fn inside_a_part_nothing_changes(
            spans in proptest::collection::vec((0u32..40, 0u32..40), 0..12),
            (a, b) in (0u32..42, 0u32..42),
        ) {
            let (index, whole) = (index(&spans), Span::new(a, b));
            let parts = index.parts(Network::V4(whole));
            let mut next = whole.first;
            for part in parts {
                let Network::V4(part) = part else { panic!("the family changed") };
                prop_assert_eq!(part.first, next);
                next = part.last + 1;
                for x in part.first..=part.last {
                    prop_assert_eq!(index.of(IpAddr::V4(x.into())), index.of(IpAddr::V4(part.first.into())));
                }
            }
            prop_assert_eq!(next, whole.last + 1);
        }
    }

    #[test]
    fn the_most_special_comes_first() {
        let found: Vec<u32> =
            index(&[(0, 100), (10, 20), (15, 15), (30, 40)]).of(IpAddr::V4(15.into())).iter().map(|f| f.1).collect();
        assert_eq!(found, [3, 2, 1]);
    }
}
