//! A memory of what was worked out for a number or a pair of numbers, for walks over millions of pieces of few classes.

use std::collections::HashMap;
use std::hash::Hash;

/// What a memory is kept by: small numbers, mostly neighbours.
pub(super) trait Key: Copy + Eq + Hash {
    /// Where to look first. Only its lowest bits count.
    fn slot(self) -> usize;
}

impl Key for u32 {
    fn slot(self) -> usize {
        self as usize
    }
}

impl<A: Key, B: Key> Key for (A, B) {
    fn slot(self) -> usize {
        self.0.slot().wrapping_mul(11) ^ self.1.slot()
    }
}

/// How many keys are found without hashing. The 97 prefix lengths of an IPv6 list fit.
const SLOTS: usize = 128;

/// A memory. Neighbouring pieces mostly have the same few classes by turns, and those are found in a table that needs no
/// hashing; the rest is in a map.
pub(super) struct Memo<K, V> {
    recent: [Option<(K, V)>; SLOTS],
    all: HashMap<K, V>,
}

impl<K: Key, V: Copy> Default for Memo<K, V> {
    fn default() -> Self {
        Self { recent: [None; SLOTS], all: HashMap::new() }
    }
}

impl<K: Key, V: Copy> Memo<K, V> {
    /// What is known of a key, worked out if nothing is.
    pub(super) fn get(&mut self, key: K, make: impl FnOnce() -> V) -> V {
        let slot = key.slot() % SLOTS;
        match self.recent[slot] {
            Some((known, value)) if known == key => value,
            _ => {
                let value = *self.all.entry(key).or_insert_with(make);
                self.recent[slot] = Some((key, value));
                value
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_key_is_worked_out_once() {
        let mut memo = Memo::default();
        let mut made = 0;
        for round in 0..3 {
            for key in (0..500u32).map(|n| (n % 7, n)) {
                let value = memo.get(key, || {
                    made += 1;
                    key.0 + key.1
                });
                assert_eq!(value, key.0 + key.1, "round {round}");
            }
        }
        assert_eq!(made, 500);
    }
}
