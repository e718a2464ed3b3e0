//! Cuts a family's sorted entries into lists that one rule can hold, at places that the entries themselves decide.
//!
//! Cut by count, one entry more would move every later entry to another rule, and each of those rules would have to be
//! replaced. Here an entry starts a new list if its own address says so; after a change the cuts soon fall on the same
//! entries as before, and what follows is left alone.

use crate::net::{Addr, Span};

/// The most entries that a rule holds in each of its lists (MS-FASP 2.2.34; more have made Windows fail).
pub(super) const MOST: usize = 1000;

/// Below this number of entries no cut is made.
const LEAST: usize = 250;

/// From [`LEAST`] on, one entry in this many starts a new list, so that lists have about 500 entries.
const ONE_IN: u64 = 250;

/// Whether an entry may start a list: a mix of its address bits (the finaliser of splitmix64).
fn starts<A: Addr>(span: Span<A>) -> bool {
    let bits = span.first.bits();
    let mut n = (bits >> 64) as u64 ^ (bits as u64).rotate_left(32);
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (n ^ (n >> 31)).is_multiple_of(ONE_IN)
}

/// The lists, in order; together they hold every entry once.
pub(super) fn chunks<A: Addr>(mut spans: &[Span<A>]) -> Vec<&[Span<A>]> {
    let mut out = Vec::with_capacity(spans.len() / LEAST + 1);
    while !spans.is_empty() {
        let most = spans.len().min(MOST);
        let natural = (LEAST..most).find(|i| starts(spans[*i]));
        let (chunk, rest) = spans.split_at(natural.unwrap_or(most));
        out.push(chunk);
        spans = rest;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn entries(n: u32) -> Vec<Span<u32>> {
        // Scattered, but the same in every run.
        let mut all: Vec<u32> = (0..n).map(|i| i.wrapping_mul(2_654_435_761) & !1).collect();
        all.sort_unstable();
        all.dedup();
        all.into_iter().map(|a| Span { first: a, last: a }).collect()
    }

    #[test]
    fn lists_are_within_the_bound_and_hold_everything() {
        for n in [0, 1, 249, 250, 1000, 1001, 50_000] {
            let spans = entries(n);
            let parts = chunks(&spans);
            assert!(parts.iter().all(|p| (1..=MOST).contains(&p.len())));
            assert_eq!(parts.concat(), spans);
        }
        let average = 50_000 / chunks(&entries(50_000)).len();
        assert!((350..650).contains(&average), "{average}");
    }

    #[test]
    fn one_entry_more_changes_few_lists() {
        let before = entries(50_000);
        let old: BTreeSet<&[Span<u32>]> = chunks(&before).into_iter().collect();
        for at in [0, 9_999, 25_000, 49_000] {
            let mut after = before.clone();
            let first = after[at].first | 1;
            after.insert(at + 1, Span { first, last: first });
            let changed = chunks(&after).into_iter().filter(|c| !old.contains(c)).count();
            assert!(changed <= 8, "{changed} lists of {} changed", old.len());
        }
    }
}
