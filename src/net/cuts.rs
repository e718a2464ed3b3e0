//! The whole address space of one family, cut into pieces that each have a class.

mod meeting;

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use super::{Addr, Ranges, Span};

pub use meeting::Meeting;
use meeting::Pairs;

/// One piece of a [`Cuts`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cut<A, C> {
    /// The addresses of the piece.
    pub span: Span<A>,
    /// Its class.
    pub class: C,
}

/// What can be a class.
pub trait Class: Copy + Eq + Hash {}

impl<T: Copy + Eq + Hash> Class for T {}

/// A partition of one family's whole address space into classes.
///
/// The places of the cuts are apart from what the pieces mean, and shared: to give every piece another meaning, however
/// many there are, is to write a few classes anew. Neighbours of one class are told as one piece, and equality is that of
/// what is told.
#[derive(Clone, Debug)]
pub struct Cuts<A, C> {
    map: Arc<Map<A>>,
    /// The class of each colour. Every colour is on the map.
    classes: Vec<C>,
}

/// Sorted starts and a colour each; the end of a piece is the next start. Neighbours have different colours.
#[derive(Debug)]
struct Map<A> {
    starts: Vec<A>,
    colours: Vec<u32>,
}

impl<A: Addr> Map<A> {
    fn with_capacity(capacity: usize) -> Self {
        Self { starts: Vec::with_capacity(capacity), colours: Vec::with_capacity(capacity) }
    }

    fn push(&mut self, start: A, colour: u32) {
        debug_assert!(self.starts.last().is_none_or(|l| *l < start));
        if self.colours.last() != Some(&colour) {
            self.starts.push(start);
            self.colours.push(colour);
        }
    }
}

/// A partition that is built piece by piece, from the lowest address on.
#[derive(Debug)]
pub struct Builder<A, C> {
    map: Map<A>,
    palette: Palette<C>,
}

impl<A: Addr, C: Class> Builder<A, C> {
    /// A partition of about so many pieces.
    pub fn with_capacity(capacity: usize) -> Self {
        Self { map: Map::with_capacity(capacity), palette: Palette::default() }
    }

    /// Appends a piece that starts above the one before; the first one starts at the lowest address.
    pub fn push(&mut self, start: A, class: C) {
        // Pieces mostly take turns between two classes.
        let last = self.map.colours.len().saturating_sub(2);
        let recent = self.map.colours[last..].iter().find(|c| self.palette.classes[**c as usize] == class).copied();
        let colour = recent.unwrap_or_else(|| self.palette.colour(class));
        self.map.push(start, colour);
    }

    /// The partition; of nothing pushed, the space in one piece of this class.
    pub fn finish(self, otherwise: C) -> Cuts<A, C> {
        if self.map.starts.is_empty() {
            return Cuts::uniform(otherwise);
        }
        Cuts { map: Arc::new(self.map), classes: self.palette.classes }
    }
}

/// Classes by their colours, and colours by their classes.
#[derive(Debug)]
struct Palette<C> {
    classes: Vec<C>,
    colours: HashMap<C, u32>,
}

impl<C> Default for Palette<C> {
    fn default() -> Self {
        Self { classes: Vec::new(), colours: HashMap::new() }
    }
}

impl<C: Class> Palette<C> {
    /// The colour of a class, a new one if it has none.
    fn colour(&mut self, class: C) -> u32 {
        *self.colours.entry(class).or_insert_with(|| {
            self.classes.push(class);
            (self.classes.len() - 1) as u32
        })
    }
}

impl<A: Addr, C: Class> Cuts<A, C> {
    /// The space in one piece.
    pub fn uniform(class: C) -> Self {
        Self { map: Arc::new(Map { starts: vec![A::MIN], colours: vec![0] }), classes: vec![class] }
    }

    /// The space in two classes: `inside` for the addresses of the set, `outside` for the others.
    pub fn of_set(set: &Ranges<A>, inside: C, outside: C) -> Self {
        let mut palette = Palette::default();
        let inside = palette.colour(inside);
        Self::of_spans(set.spans().len(), set.spans().iter().map(|s| (*s, inside)), palette, outside)
    }

    /// The space in the classes of sets: each address has that of the first set that holds it, and the last one where none
    /// does.
    pub fn of_first<'s>(sets: impl Iterator<Item = (&'s Ranges<A>, C)>, none: C) -> Self {
        let sets: Vec<(&Ranges<A>, C)> = sets.filter(|(set, _)| !set.is_empty()).collect();
        if let [(set, class)] = sets[..] {
            return Self::of_set(set, class, none);
        }
        let total = sets.iter().map(|(set, _)| set.spans().len()).sum();
        let mut palette = Palette::default();
        let colours: Vec<u32> = sets.iter().map(|(_, class)| palette.colour(*class)).collect();
        let (mut last, mut overlap) = (None, false);
        let disjoint = merged(sets.iter().map(|(set, _)| set.spans()).collect()).map_while(|(number, span)| {
            overlap = last.is_some_and(|last| span.first <= last);
            last = Some(span.last);
            (!overlap).then(|| (span, colours[number]))
        });
        let cuts = Self::of_spans(total, disjoint, palette, none);
        if overlap {
            // Sets that overlap are laid over each other, the last one first.
            return sets.iter().rev().fold(Self::uniform(none), |below, (set, class)| below.overlay(set, *class));
        }
        cuts
    }

    /// The space in the colours of disjoint spans, in order, and in one class for all between them. Every colour of the
    /// palette is that of a span, unless there is none.
    fn of_spans(
        count: usize,
        spans: impl Iterator<Item = (Span<A>, u32)>,
        mut palette: Palette<C>,
        between: C,
    ) -> Self {
        let mut map = Map::with_capacity(2 * count + 1);
        let mut next = Some(A::MIN);
        let mut other = None;
        for (span, colour) in spans {
            if let Some(n) = next
                && n < span.first
            {
                map.push(n, *other.get_or_insert_with(|| palette.colour(between)));
            }
            map.push(span.first, colour);
            next = span.last.next();
        }
        if map.starts.is_empty() {
            return Self::uniform(between);
        }
        if let Some(n) = next {
            map.push(n, other.unwrap_or_else(|| palette.colour(between)));
        }
        Self { map: Arc::new(map), classes: palette.classes }
    }

    /// The number of pieces, those counted apart that only became alike by a change of classes.
    pub fn len(&self) -> usize {
        self.map.starts.len()
    }

    /// Always false: a partition has at least one piece.
    pub fn is_empty(&self) -> bool {
        self.map.starts.is_empty()
    }

    /// The one class of the space, if there is only one.
    pub fn as_uniform(&self) -> Option<C> {
        self.classes.iter().all(|c| *c == self.classes[0]).then(|| self.classes[0])
    }

    fn class(&self, colour: u32) -> C {
        self.classes[colour as usize]
    }

    fn piece(&self, a: A) -> usize {
        self.map.starts.partition_point(|s| *s <= a).max(1) - 1
    }

    /// The class of an address.
    pub fn at(&self, a: A) -> C {
        self.class(self.map.colours[self.piece(a)])
    }

    /// The pieces of one class, in order.
    pub fn spans(&self, class: C) -> impl Iterator<Item = Span<A>> + Clone + '_ {
        self.iter().filter(move |cut| cut.class == class).map(|cut| cut.span)
    }

    /// The pieces, in order; neighbours have different classes.
    pub fn iter(&self) -> impl Iterator<Item = Cut<A, C>> + Clone + '_ {
        let Map { starts, colours } = &*self.map;
        let mut at = 0;
        std::iter::from_fn(move || {
            let (first, class) = (*starts.get(at)?, self.class(colours[at]));
            at += 1;
            while colours.get(at).is_some_and(|c| self.class(*c) == class) {
                at += 1;
            }
            let last = starts.get(at).and_then(|n| n.prev()).unwrap_or(A::MAX);
            Some(Cut { span: Span { first, last }, class })
        })
    }

    /// The pieces inside of a span, each as its first address there and its class.
    pub fn within(&self, span: Span<A>) -> impl Iterator<Item = (A, C)> + '_ {
        let from = self.piece(span.first);
        let pieces = self.map.starts[from..].iter().zip(&self.map.colours[from..]);
        pieces.take_while(move |(s, _)| **s <= span.last).map(move |(s, c)| ((*s).max(span.first), self.class(*c)))
    }

    /// The addresses whose class is wanted.
    pub fn select(&self, mut wanted: impl FnMut(C) -> bool) -> Ranges<A> {
        let wanted: Vec<bool> = self.classes.iter().map(|c| wanted(*c)).collect();
        if !wanted.contains(&true) {
            return Ranges::new();
        }
        let Map { starts, colours } = &*self.map;
        let pieces = colours.iter().enumerate().filter(|(_, c)| wanted[**c as usize]);
        let spans = pieces.map(|(i, _)| {
            let last = starts.get(i + 1).and_then(|n| n.prev()).unwrap_or(A::MAX);
            Span { first: starts[i], last }
        });
        spans.collect()
    }

    /// The same space with each piece of one class that lies between two pieces of one other class taken into it: for a
    /// list that is only asked about addresses outside of the gaps, which then need not be spelled out of it.
    #[must_use]
    pub fn bridged(&self, gap: C) -> Self {
        if !self.classes.contains(&gap) {
            return self.clone();
        }
        let pieces: Vec<Cut<A, C>> = self.iter().collect();
        let mut out = Builder::with_capacity(pieces.len());
        for (i, cut) in pieces.iter().enumerate() {
            let around = (i.checked_sub(1).map(|b| pieces[b].class), pieces.get(i + 1).map(|c| c.class));
            match around {
                (Some(before), Some(after)) if cut.class == gap && before == after => out.push(cut.span.first, before),
                _ => out.push(cut.span.first, cut.class),
            }
        }
        out.finish(gap)
    }

    /// The same space with each class replaced. Each class is asked about once.
    pub fn map<D: Class>(&self, f: impl FnMut(C) -> D) -> Cuts<A, D> {
        let classes: Vec<D> = self.classes.iter().copied().map(f).collect();
        let out = Cuts { map: Arc::clone(&self.map), classes };
        // One piece is worth a map of its own: whatever it is put together with is then quick.
        out.as_uniform().map_or(out, Cuts::uniform)
    }

    /// Two partitions laid over each other: each piece has the class that `f` makes of both. Each pair of classes that meet
    /// is asked about once.
    pub fn zip<D: Class, E: Class>(&self, other: &Cuts<A, D>, mut f: impl FnMut(C, D) -> E) -> Cuts<A, E> {
        if let Some(d) = other.as_uniform() {
            return self.map(|c| f(c, d));
        }
        if let Some(c) = self.as_uniform() {
            return other.map(|d| f(c, d));
        }
        if Arc::ptr_eq(&self.map, &other.map) {
            let classes = self.classes.iter().zip(&other.classes).map(|(c, d)| f(*c, *d)).collect();
            return Cuts { map: Arc::clone(&self.map), classes };
        }
        let mut palette = Palette::default();
        let mut pairs = Pairs::new(self.classes.len(), other.classes.len());
        let mut map = Map::with_capacity(self.len() + other.len());
        self.walk(other, |start, x, y| {
            let joined = pairs.get(x, y, || palette.colour(f(self.class(x), other.class(y))));
            map.push(start, joined);
        });
        Cuts { map: Arc::new(map), classes: palette.classes }
    }

    /// The start of each piece of two partitions laid over each other, with the colours that it has in both.
    fn walk<D: Class>(&self, other: &Cuts<A, D>, mut piece: impl FnMut(A, u32, u32)) {
        let (a, b) = (&*self.map, &*other.map);
        let (mut i, mut j) = (0, 0);
        let mut start = A::MIN;
        loop {
            piece(start, a.colours[i], b.colours[j]);
            start = match (a.starts.get(i + 1), b.starts.get(j + 1)) {
                (Some(x), Some(y)) => {
                    i += usize::from(x <= y);
                    j += usize::from(y <= x);
                    *x.min(y)
                }
                (Some(x), None) => {
                    i += 1;
                    *x
                }
                (None, Some(y)) => {
                    j += 1;
                    *y
                }
                (None, None) => return,
            };
        }
    }

    /// Which colours of two partitions meet anywhere.
    pub fn meeting<D: Class>(&self, other: &Cuts<A, D>) -> Meeting<A> {
        let mut seen = Pairs::new(self.classes.len(), other.classes.len());
        let mut pairs = Vec::new();
        self.walk(other, |_, x, y| {
            seen.get(x, y, || {
                pairs.push((x, y));
                0
            });
        });
        Meeting { left: Arc::clone(&self.map), right: Arc::clone(&other.map), pairs }
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

impl<A: Addr, C: Class> PartialEq for Cuts<A, C> {
    fn eq(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.map, &other.map) && self.classes == other.classes) || self.iter().eq(other.iter())
    }
}

impl<A: Addr, C: Class> Eq for Cuts<A, C> {}

/// The spans of lists that are each in order, all in one order, each with the number of its list.
fn merged<A: Addr>(mut lists: Vec<&[Span<A>]>) -> impl Iterator<Item = (usize, Span<A>)> {
    // A heap of the lists' next spans, for a sort would first have to copy them all.
    let next = |number: usize, list: &[Span<A>]| list.first().map(|span| Reverse((span.first, number)));
    let mut heads: BinaryHeap<_> = lists.iter().enumerate().filter_map(|(number, list)| next(number, list)).collect();
    std::iter::from_fn(move || {
        let mut head = heads.peek_mut()?;
        let Reverse((_, number)) = *head;
        let (span, rest) = lists[number].split_first()?;
        lists[number] = rest;
        match next(number, rest) {
            Some(entry) => *head = entry,
            None => {
                PeekMut::pop(head);
            }
        }
        Some((number, *span))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cuts() -> impl Strategy<Value = Cuts<u32, u8>> {
        proptest::collection::btree_map(prop_oneof![0u32..20, Just(u32::MAX)], 0u8..3, 0..6).prop_map(|m| {
            let mut c = Builder::with_capacity(4);
            c.push(0, m.get(&0).copied().unwrap_or(0));
            for (a, class) in m.into_iter().filter(|(a, _)| *a > 0) {
                c.push(a, class);
            }
            c.finish(0)
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
        fn of_sets_the_first_that_holds_an_address_counts(all in proptest::collection::vec(cuts(), 0..5), disjoint: bool) {
            let mut sets: Vec<Ranges<u32>> = all.iter().map(|c| c.select(|c| c == 1)).collect();
            if disjoint {
                for i in 1..sets.len() {
                    sets[i] = sets[..i].iter().fold(sets[i].clone(), |rest, before| rest.minus(before));
                }
            }
            // Classes repeat, so that sets of one class touch each other.
            let class = |i: usize| i % 3;
            let found = Cuts::of_first(sets.iter().enumerate().map(|(i, set)| (set, class(i))), 9);
            for p in (0..22).chain([u32::MAX - 1, u32::MAX]) {
                prop_assert_eq!(found.at(p), sets.iter().position(|s| s.contains(p)).map_or(9, class));
            }
            let pieces: Vec<_> = found.iter().collect();
            prop_assert!(pieces.windows(2).all(|w| w[0].class != w[1].class && w[0].span.last + 1 == w[1].span.first));
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
