//! The whole address space of one family, cut into pieces that each have a class.

use std::borrow::Cow;

use super::{Addr, Ranges, Span};

/// One piece of a [`Cuts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut<A, C> {
    /// The addresses of the piece.
    pub span: Span<A>,
    /// Its class.
    pub class: C,
}

/// A partition of one family's whole address space: sorted starts, a class each; the end of a piece is the next start.
/// Equal neighbours are joined, so equal partitions are equal vectors.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Cuts<A, C> {
    starts: Vec<A>,
    classes: Vec<C>,
}

impl<A: Addr, C: Copy + Eq> Cuts<A, C> {
    /// The space in one piece.
    pub fn uniform(class: C) -> Self {
        Self { starts: vec![A::MIN], classes: vec![class] }
    }

    /// The space in two classes: `inside` for the addresses of the set, `outside` for the others.
    pub fn of_set(set: &Ranges<A>, inside: C, outside: C) -> Self {
        let mut out = Self::builder(2 * set.spans().len() + 1);
        let mut next = Some(A::MIN);
        for s in set.spans() {
            if let Some(n) = next
                && n < s.first
            {
                out.push(n, outside);
            }
            out.push(s.first, inside);
            next = s.last.next();
        }
        if let Some(n) = next {
            out.push(n, outside);
        }
        out
    }

    /// An empty partition to be filled by [`Self::push`]; the first push must be of the lowest address.
    pub fn builder(capacity: usize) -> Self {
        Self { starts: Vec::with_capacity(capacity), classes: Vec::with_capacity(capacity) }
    }

    /// Appends a piece that starts at `start` (not below the last start); a class equal to the last one is joined to it.
    pub fn push(&mut self, start: A, class: C) {
        debug_assert!(self.starts.last().is_none_or(|l| *l < start));
        if self.classes.last() != Some(&class) {
            self.starts.push(start);
            self.classes.push(class);
        }
    }

    /// The number of pieces.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Always false: a partition has at least one piece once it is built.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The one class of the space, if there is only one.
    pub fn as_uniform(&self) -> Option<C> {
        if let [class] = self.classes[..] { Some(class) } else { None }
    }

    /// The class of an address.
    pub fn at(&self, a: A) -> C {
        self.classes[self.starts.partition_point(|s| *s <= a).max(1) - 1]
    }

    /// The pieces, in order.
    pub fn iter(&self) -> impl Iterator<Item = Cut<A, C>> + '_ {
        (0..self.starts.len()).map(|i| {
            let last = self.starts.get(i + 1).and_then(|n| n.prev()).unwrap_or(A::MAX);
            Cut { span: Span { first: self.starts[i], last }, class: self.classes[i] }
        })
    }

    /// The pieces inside of a span, each as its first address there and its class.
    pub fn within(&self, span: Span<A>) -> impl Iterator<Item = (A, C)> + '_ {
        let from = self.starts.partition_point(|s| *s <= span.first).max(1) - 1;
        let pieces = self.starts[from..].iter().zip(&self.classes[from..]);
        pieces.take_while(move |(s, _)| **s <= span.last).map(move |(s, c)| ((*s).max(span.first), *c))
    }

    /// The addresses whose class is wanted.
    pub fn select(&self, mut wanted: impl FnMut(C) -> bool) -> Ranges<A> {
        self.iter().filter(|c| wanted(c.class)).map(|c| c.span).collect()
    }

    /// The same space with each piece of one class that lies between two pieces of one other class taken into it: for a
    /// list that is only asked about addresses outside of the gaps, which then need not be spelled out of it.
    pub fn bridged(&self, gap: C) -> Cow<'_, Self> {
        let pieces = self.classes.windows(3);
        if !pieces.clone().any(|w| w[1] == gap && w[0] == w[2]) {
            return Cow::Borrowed(self);
        }
        let mut out = Self::builder(self.len());
        for (i, (start, class)) in self.starts.iter().zip(&self.classes).enumerate() {
            let around = (i.checked_sub(1).map(|b| self.classes[b]), self.classes.get(i + 1).copied());
            match around {
                (Some(before), Some(after)) if *class == gap && before == after => out.push(*start, before),
                _ => out.push(*start, *class),
            }
        }
        Cow::Owned(out)
    }

    /// The same space with each class replaced.
    pub fn map<D: Copy + Eq>(&self, mut f: impl FnMut(C) -> D) -> Cuts<A, D> {
        let mut out = Cuts::builder(self.len());
        for (start, class) in self.starts.iter().zip(&self.classes) {
            out.push(*start, f(*class));
        }
        out
    }

    /// Two partitions laid over each other: each piece has the class that `f` makes of both.
    pub fn zip<D: Copy + Eq, E: Copy + Eq>(&self, other: &Cuts<A, D>, mut f: impl FnMut(C, D) -> E) -> Cuts<A, E> {
        if let Some(d) = other.as_uniform() {
            return self.map(|c| f(c, d));
        }
        let mut out = Cuts::builder(self.len() + other.len());
        let (mut i, mut j) = (0, 0);
        let mut start = A::MIN;
        loop {
            out.push_loose(start, f(self.classes[i], other.classes[j]));
            let (a, b) = (self.starts.get(i + 1), other.starts.get(j + 1));
            start = match (a, b) {
                (Some(a), Some(b)) => {
                    if a <= b {
                        i += 1;
                    }
                    if b <= a {
                        j += 1;
                    }
                    *a.min(b)
                }
                (Some(a), None) => {
                    i += 1;
                    *a
                }
                (None, Some(b)) => {
                    j += 1;
                    *b
                }
                (None, None) => return out,
            };
        }
    }

    fn push_loose(&mut self, start: A, class: C) {
        if self.classes.last() != Some(&class) {
            self.starts.push(start);
            self.classes.push(class);
        }
    }

    /// The same space with the addresses of a set put into one class.
    #[must_use]
    pub fn overlay(&self, set: &Ranges<A>, class: C) -> Self {
        if set.is_empty() {
            return self.clone();
        }
        self.zip(&Cuts::of_set(set, true, false), |c, inside| if inside { class } else { c })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cuts() -> impl Strategy<Value = Cuts<u32, u8>> {
        proptest::collection::btree_map(prop_oneof![0u32..20, Just(u32::MAX)], 0u8..3, 0..6).prop_map(|m| {
            let mut c = Cuts::builder(4);
            c.push(0, m.get(&0).copied().unwrap_or(0));
            for (a, class) in m.into_iter().filter(|(a, _)| *a > 0) {
                c.push(a, class);
            }
            c
        })
    }

    proptest! {
        #[test]
        fn zip_asks_both_at_every_address(a in cuts(), b in cuts()) {
            let both = a.zip(&b, |x, y| (x, y));
            for p in (0..22).chain([u32::MAX - 1, u32::MAX]) {
                prop_assert_eq!(both.at(p), (a.at(p), b.at(p)));
            }
            let pieces: Vec<_> = both.iter().collect();
            prop_assert!(pieces.windows(2).all(|w| w[0].class != w[1].class && w[0].span.last + 1 == w[1].span.first));
            prop_assert_eq!(pieces[0].span.first, 0);
            prop_assert_eq!(pieces[pieces.len() - 1].span.last, u32::MAX);
        }

        #[test]
        fn bridging_changes_gaps_only(a in cuts()) {
            let bridged = a.bridged(0);
            for (i, cut) in a.iter().enumerate() {
                let around = (i.checked_sub(1).and_then(|b| a.iter().nth(b)), a.iter().nth(i + 1));
                let found = bridged.at(cut.span.first);
                prop_assert_eq!(found, bridged.at(cut.span.last));
                match around {
                    (Some(b), Some(c)) if cut.class == 0 && b.class == c.class => prop_assert_eq!(found, b.class),
                    _ => prop_assert_eq!(found, cut.class),
                }
            }
        }

        #[test]
        fn overlay_and_select_are_inverse(a in cuts(), b in cuts()) {
            let set = b.select(|c| c == 1);
            prop_assert_eq!(a.overlay(&set, 7).select(|c| c == 7), set);
        }
    }
}
