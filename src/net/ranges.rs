//! A set of addresses of one family as sorted, disjoint, joined closed ranges.

use std::fmt;

use super::{Addr, Prefix};

/// A closed range of addresses: both ends belong to it, and `first <= last`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span<A> {
    /// The lowest address.
    pub first: A,
    /// The highest address.
    pub last: A,
}

impl<A: Addr> Span<A> {
    /// A span; the ends are put in order.
    pub fn new(a: A, b: A) -> Self {
        Self { first: a.min(b), last: a.max(b) }
    }

    /// The whole address space.
    pub fn all() -> Self {
        Self { first: A::MIN, last: A::MAX }
    }

    /// Whether the address lies in the span.
    pub fn contains(self, a: A) -> bool {
        self.first <= a && a <= self.last
    }

    /// The fewest prefixes that cover exactly this span, in order.
    pub fn prefixes(self) -> impl Iterator<Item = Prefix<A>> + Clone {
        let mut next = Some(self.first);
        std::iter::from_fn(move || {
            let addr = next?;
            // The largest aligned block that starts here and does not reach past the end: 2^fits is at most what is left.
            let left = A::distance(addr, self.last);
            let fits = left.checked_add(1).map_or(u128::BITS, u128::ilog2) as u8;
            let prefix = Prefix { addr, len: A::BITS - addr.trailing_zeros().min(fits) };
            next = prefix.last().next().filter(|a| *a <= self.last);
            Some(prefix)
        })
    }
}

impl<A: Addr> From<Prefix<A>> for Span<A> {
    fn from(p: Prefix<A>) -> Self {
        Self { first: p.addr, last: p.last() }
    }
}

/// The number of addresses in a set: 0 to 2^128 inclusive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Count {
    // Ordered by the fields: the overflow first.
    whole_v6_space: bool,
    below: u128,
}

impl Count {
    /// A count of at most 2^128 - 1.
    pub fn new(n: u128) -> Self {
        Self { whole_v6_space: false, below: n }
    }

    /// The number, where it fits 128 bits (all but the whole IPv6 space do).
    pub fn get(self) -> Option<u128> {
        (!self.whole_v6_space).then_some(self.below)
    }

    /// Whether nothing was counted.
    pub fn is_zero(self) -> bool {
        self == Self::default()
    }

    fn add(self, n: u128) -> Self {
        let (below, over) = self.below.overflowing_add(n);
        Self { whole_v6_space: self.whole_v6_space || over, below }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.whole_v6_space {
            f.write_str("340282366920938463463374607431768211456")
        } else {
            write!(f, "{}", self.below)
        }
    }
}

/// A set of addresses of one family: spans in order, disjoint, and never adjacent.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ranges<A>(Vec<Span<A>>);

impl<A> Default for Ranges<A> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<A: Addr> Ranges<A> {
    /// The empty set.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Every address of the family.
    pub fn all() -> Self {
        Self(vec![Span::all()])
    }

    /// The union of spans in any order, overlapping or not. Sorts only what is not sorted.
    pub fn from_spans(mut spans: Vec<Span<A>>) -> Self {
        if !spans.is_sorted() {
            spans.sort_unstable();
        }
        let mut kept = 0;
        for i in 0..spans.len() {
            let span = spans[i];
            if kept > 0 && spans[kept - 1].last.next().is_none_or(|next| span.first <= next) {
                spans[kept - 1].last = spans[kept - 1].last.max(span.last);
            } else {
                spans[kept] = span;
                kept += 1;
            }
        }
        spans.truncate(kept);
        Self(spans)
    }

    /// The union of spans that come sorted by their first address.
    pub fn from_ordered(spans: impl IntoIterator<Item = Span<A>>) -> Self {
        let spans = spans.into_iter();
        let mut out: Vec<Span<A>> = Vec::with_capacity(spans.size_hint().0);
        for span in spans {
            if let Some(last) = out.last_mut()
                && last.last.next().is_none_or(|next| span.first <= next)
            {
                last.last = last.last.max(span.last);
            } else {
                out.push(span);
            }
        }
        Self(out)
    }

    /// The addresses that are equal to this one under a mask, which may have holes. None if the holes leave more than `most`
    /// bits open above the mask's tail: each doubles the number of ranges.
    pub fn under_mask(address: A, mask: A, most: usize) -> Option<Self> {
        let tail = mask.trailing_zeros().min(A::BITS);
        let bit = |n: u8| A::mask(A::BITS - n).and(A::mask(A::BITS - n - 1).not());
        let open: Vec<A> = (tail..A::BITS).map(bit).filter(|b| mask.and(*b) == A::MIN).collect();
        if open.len() > most {
            return None;
        }
        let mut firsts = vec![address.and(mask)];
        // From the lowest bit on, so that they stay in order.
        for bit in open {
            firsts.extend_from_within(..);
            let half = firsts.len() / 2;
            firsts[half..].iter_mut().for_each(|a| *a = a.or(bit));
        }
        let rest = A::mask(A::BITS - tail).not();
        Some(Self::from_ordered(firsts.into_iter().map(|first| Span { first, last: first.or(rest) })))
    }

    /// The spans, in order.
    pub fn spans(&self) -> &[Span<A>] {
        &self.0
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every address of the family is in the set.
    pub fn is_all(&self) -> bool {
        self.0.first() == Some(&Span::all())
    }

    /// Whether the address is in the set.
    pub fn contains(&self, a: A) -> bool {
        let i = self.0.partition_point(|s| s.last < a);
        self.0.get(i).is_some_and(|s| s.first <= a)
    }

    /// How many addresses are in the set.
    pub fn count(&self) -> Count {
        self.0.iter().fold(Count::default(), |n, s| n.add(A::distance(s.first, s.last)).add(1))
    }

    /// The fewest prefixes that cover exactly this set, in order.
    pub fn prefixes(&self) -> impl Iterator<Item = Prefix<A>> + '_ {
        self.0.iter().flat_map(|s| s.prefixes())
    }

    /// The addresses that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        let mut out = Vec::with_capacity(self.0.len() + 1);
        let mut next = Some(A::MIN);
        for s in &self.0 {
            if let (Some(first), Some(last)) = (next, s.first.prev())
                && first <= last
            {
                out.push(Span { first, last });
            }
            next = s.last.next();
        }
        if let Some(first) = next {
            out.push(Span { first, last: A::MAX });
        }
        Self(out)
    }

    /// The addresses that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        if self.is_empty() {
            return other.clone();
        }
        let mut spans = Vec::with_capacity(self.0.len() + other.0.len());
        let (mut a, mut b) = (self.0.iter().peekable(), other.0.iter().peekable());
        while let Some(s) = match (a.peek(), b.peek()) {
            (Some(x), Some(y)) if x <= y => a.next(),
            (Some(_), None) => a.next(),
            _ => b.next(),
        } {
            spans.push(*s);
        }
        Self::from_spans(spans)
    }

    /// The addresses that are in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            let (first, last) = (a.first.max(b.first), a.last.min(b.last));
            if first <= last {
                out.push(Span { first, last });
            }
            if a.last < b.last {
                i += 1;
            } else {
                j += 1;
            }
        }
        Self(out)
    }

    /// The addresses that are in this set and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        if other.is_empty() {
            return self.clone();
        }
        self.intersect(&other.complement())
    }

    /// Whether every address of the other set is in this one.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|o| {
            let i = self.0.partition_point(|s| s.last < o.first);
            self.0.get(i).is_some_and(|s| s.first <= o.first && o.last <= s.last)
        })
    }

    /// Whether the set and a span have an address in common.
    pub fn overlaps_span(&self, span: Span<A>) -> bool {
        let i = self.0.partition_point(|s| s.last < span.first);
        self.0.get(i).is_some_and(|s| s.first <= span.last)
    }

    /// Whether the two sets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        let (few, many) = if self.0.len() < other.0.len() { (self, other) } else { (other, self) };
        // A few spans are looked up in many; two sets of about one size are walked together.
        if few.0.len() < many.0.len() / 32 {
            return few.0.iter().any(|s| many.overlaps_span(*s));
        }
        let (mut i, mut j) = (0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            if a.first.max(b.first) <= a.last.min(b.last) {
                return true;
            }
            if a.last < b.last { i += 1 } else { j += 1 }
        }
        false
    }
}

impl<A: Addr> FromIterator<Span<A>> for Ranges<A> {
    fn from_iter<I: IntoIterator<Item = Span<A>>>(spans: I) -> Self {
        Self::from_spans(spans.into_iter().collect())
    }
}

impl<A: Addr> FromIterator<Prefix<A>> for Ranges<A> {
    fn from_iter<I: IntoIterator<Item = Prefix<A>>>(prefixes: I) -> Self {
        prefixes.into_iter().map(Span::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Sets on a small circle of addresses (both ends of the space included), so that a model can list them.
    fn spans() -> impl Strategy<Value = Vec<Span<u32>>> {
        let end = prop_oneof![0u32..24, (u32::MAX - 8)..=u32::MAX];
        proptest::collection::vec((end.clone(), end).prop_map(|(a, b)| Span::new(a, b)), 0..6)
    }

    fn probes() -> impl Iterator<Item = u32> {
        (0..26).chain(u32::MAX - 10..=u32::MAX).chain([1 << 20])
    }

    proptest! {
        #[test]
        fn the_operations_are_those_of_sets(x in spans(), y in spans()) {
            let (a, b) = (Ranges::from_spans(x.clone()), Ranges::from_spans(y.clone()));
            let mut ordered = x.clone();
            ordered.sort_unstable_by_key(|s| s.first);
            prop_assert_eq!(Ranges::from_ordered(ordered), a.clone());
            let has = |v: &[Span<u32>], p| v.iter().any(|s| s.contains(p));
            for p in probes() {
                let (inx, iny) = (has(&x, p), has(&y, p));
                prop_assert_eq!(a.contains(p), inx);
                prop_assert_eq!(a.union(&b).contains(p), inx || iny);
                prop_assert_eq!(a.intersect(&b).contains(p), inx && iny);
                prop_assert_eq!(a.minus(&b).contains(p), inx && !iny);
                prop_assert_eq!(a.complement().contains(p), !inx);
            }
            // Joined and sorted: one spelling a set.
            prop_assert_eq!(a.complement().complement(), a.clone());
            prop_assert_eq!(a.prefixes().collect::<Ranges<u32>>(), a.clone());
            prop_assert_eq!(a.overlaps(&b), !a.intersect(&b).is_empty());
            prop_assert_eq!(b.spans().iter().any(|s| a.overlaps_span(*s)), a.overlaps(&b));
            prop_assert_eq!(a.contains_all(&b), b.minus(&a).is_empty());
            for w in a.spans().windows(2) {
                prop_assert!(w[0].last.next().unwrap() < w[1].first);
            }
        }

        #[test]
        fn prefixes_are_as_few_as_ipnet_finds(x in proptest::collection::vec((any::<u32>(), 0u8..=32), 0..40)) {
            let set: Ranges<u32> = x.iter().map(|(a, l)| Prefix::new(*a, *l)).collect();
            let nets = x.iter().map(|(a, l)| Prefix::new(*a, *l).to_ipnet()).collect::<Vec<_>>();
            let ours: Vec<_> = set.prefixes().map(Prefix::to_ipnet).collect();
            prop_assert_eq!(ours, ipnet::IpNet::aggregate(&nets));
        }
    }

    proptest! {
        #[test]
        fn what_is_under_a_mask_is_equal_under_it(address: u32, mask: u32, kept in 0u32..13, other: u32, bit in 0u32..32) {
            // At most twelve bits are open above the tail.
            let mask = mask | u32::MAX << kept;
            let set = Ranges::under_mask(address, mask, 12).expect("few bits are open");
            for probe in [address, address & mask, address ^ (1 << bit), (address & mask) | (other & !mask), other] {
                prop_assert_eq!(set.contains(probe), probe & mask == address & mask);
            }
            let open = (!mask >> mask.trailing_zeros().min(31)).count_ones();
            prop_assert!(open == 0 || Ranges::under_mask(address, mask, open as usize - 1).is_none());
        }
    }

    #[test]
    fn the_whole_ipv6_space_is_counted() {
        assert_eq!(Ranges::<u128>::all().count().to_string(), "340282366920938463463374607431768211456");
        assert_eq!(Ranges::<u32>::all().count().to_string(), "4294967296");
        assert_eq!(Ranges::<u32>::new().count(), Count::default());
    }
}
