//! A list of networks as a tree of chains, so that a packet meets a few dozen rules however long the list is.
//!
//! A chain of more than [`LEAF`] networks branches on the [`STEP`] bits below what its networks have in common; each branch
//! of several networks is a chain of its own, which is entered by goto. Measured on 100,000 networks: about 25 rules a
//! packet, 4,700 chains, and a change of one network changes one chain. A list that nests so deeply that the kernel would
//! refuse the tree (see [`LEVELS`]) is cut by weight instead.

use std::ops::Range;

use sha2::{Digest as _, Sha256};

use crate::net::{Addr, Prefix};
use crate::target::RenderError;

/// The most networks that stand in one chain.
const LEAF: usize = 32;

/// The bits on which a chain branches.
const STEP: u8 = 3;

/// The most levels of chains, the root included.
///
/// The nft variant takes 15 chains below a base chain (`NFT_JUMP_STACK_SIZE`), and a goto counts as a jump does. The longest
/// way is FORWARD, DOCKER-USER, H993-FWD, H993-GUARD, the tree, H993-LIMIT, H993-OVER, H993-REFUSE.
const LEVELS: usize = 9;

/// Where a tree is cut by weight, a branch holds at least the chain's networks divided by this.
const BRANCHES: usize = 12;

/// The start of the names of a tree's chains; it sorts after those of all other chains.
pub(super) const NODE: &str = "H993-X";

/// One network and what becomes of its packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry<A> {
    /// The network.
    pub(super) prefix: Prefix<A>,
    /// The number of its action.
    pub(super) action: usize,
}

/// A list that becomes a tree.
#[derive(Clone, Copy, Debug)]
pub(super) struct List<'a, A> {
    /// What tells this tree from others, in the names of its chains.
    pub(super) id: &'a str,
    /// The chain that is the root.
    pub(super) root: &'a str,
    /// Disjoint networks in order.
    pub(super) entries: &'a [Entry<A>],
    /// The end of a rule for each action: `-j ACCEPT`.
    pub(super) actions: &'a [String],
    /// The end of the rule at the end of each chain; none: the packet goes back to where the root was jumped to.
    pub(super) miss: Option<&'a str>,
}

/// The chains of all trees of a table.
#[derive(Default, Debug)]
pub(super) struct Chains {
    /// Rules of all chains, in the order in which they were made.
    text: String,
    /// Each chain below a root: its name and its rules.
    nodes: Vec<(String, Range<usize>)>,
}

/// A chain that is still to be written.
struct Pending<E> {
    name: String,
    level: usize,
    entries: E,
}

impl Chains {
    /// Adds a list; the text is the rules of its root.
    ///
    /// # Errors
    /// A list that is too long for any tree that the kernel takes (over a thousand million networks).
    pub(super) fn add<A: Addr>(&mut self, list: &List<'_, A>) -> Result<String, RenderError> {
        let start = (self.text.len(), self.nodes.len());
        if !self.by_prefix(list) {
            self.text.truncate(start.0);
            self.nodes.truncate(start.1);
            if !self.by_weight(list) {
                return Err(RenderError::TooLarge {
                    what: format!("a list of {} networks is too long for iptables", list.entries.len()),
                });
            }
        }
        // The root was written first and stands in the table elsewhere.
        let (_, root) = self.nodes.remove(start.1);
        Ok(self.text[root].to_owned())
    }

    /// The declarations and the rules of all chains below the roots, sorted by name: the nft variant loads sorted chains
    /// several times faster than shuffled ones.
    pub(super) fn finish(mut self) -> (String, String) {
        self.nodes.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        let mut declarations = String::with_capacity(self.nodes.len() * (NODE.len() + 23));
        let mut rules = String::with_capacity(self.text.len());
        for (name, range) in self.nodes {
            declarations.extend([":", &name, " - [0:0]\n"]);
            rules.push_str(&self.text[range]);
        }
        (declarations, rules)
    }

    /// Branches on the next bits. False if the tree becomes too deep.
    fn by_prefix<A: Addr>(&mut self, list: &List<'_, A>) -> bool {
        let mut todo = vec![Pending { name: list.root.to_owned(), level: 1, entries: list.entries }];
        while let Some(Pending { name, level, entries }) = todo.pop() {
            if level > LEVELS {
                return false;
            }
            let start = self.text.len();
            let mut rest = entries;
            let below = if entries.len() > LEAF { common(entries).len + STEP } else { 0 };
            while let Some(first) = rest.first() {
                let branch = Prefix::new(first.prefix.addr, below.min(A::BITS));
                let size = if entries.len() <= LEAF || first.prefix.len <= branch.len {
                    1
                } else {
                    rest.partition_point(|e| e.prefix.addr <= branch.last())
                };
                let (part, others) = rest.split_at(size);
                rest = others;
                if size == 1 {
                    self.rule(&name, first.prefix, &list.actions[first.action]);
                } else {
                    let prefix = common(part);
                    let child = node_name(list.id, 0, prefix);
                    self.branch(&name, prefix, &child);
                    todo.push(Pending { name: child, level: level + 1, entries: part });
                }
            }
            self.end(name, start, list.miss);
        }
        true
    }

    /// Cuts off subtrees as soon as they are heavy enough, the inner ones first: the depth is the logarithm of the number
    /// of networks whatever they look like. False if the tree becomes too deep.
    fn by_weight<A: Addr>(&mut self, list: &List<'_, A>) -> bool {
        let mut todo = vec![Pending { name: list.root.to_owned(), level: 1, entries: list.entries.to_vec() }];
        while let Some(Pending { name, level, entries }) = todo.pop() {
            if level > LEVELS {
                return false;
            }
            let start = self.text.len();
            let (mut cut, mut rest) = (Vec::new(), Vec::new());
            if entries.len() > LEAF {
                prune(&entries, entries.len().div_ceil(BRANCHES), &mut cut, &mut rest);
                if rest.len() > LEAF / 2 {
                    cut.push(std::mem::take(&mut rest));
                }
            } else {
                rest = entries;
            }
            // A packet that misses in an inner branch is in no outer one either, so the order is all that nesting needs.
            for part in cut {
                let prefix = common(&part);
                let child = node_name(list.id, level, prefix);
                self.branch(&name, prefix, &child);
                todo.push(Pending { name: child, level: level + 1, entries: part });
            }
            for entry in rest {
                self.rule(&name, entry.prefix, &list.actions[entry.action]);
            }
            self.end(name, start, list.miss);
        }
        true
    }

    fn rule<A: Addr>(&mut self, chain: &str, prefix: Prefix<A>, action: &str) {
        self.text.extend(["-A ", chain, " "]);
        // The whole address space is not printed back, so it is not written either.
        if prefix.len > 0 {
            self.text.push_str("-s ");
            prefix.write_full(&mut self.text);
            self.text.push(' ');
        }
        self.text.extend([action, "\n"]);
    }

    fn branch<A: Addr>(&mut self, chain: &str, prefix: Prefix<A>, child: &str) {
        self.text.extend(["-A ", chain, " "]);
        if prefix.len > 0 {
            self.text.push_str("-s ");
            prefix.write_full(&mut self.text);
            self.text.push(' ');
        }
        self.text.extend(["-g ", child, "\n"]);
    }

    fn end(&mut self, name: String, start: usize, miss: Option<&str>) {
        if let Some(miss) = miss {
            self.text.extend(["-A ", &name, " ", miss, "\n"]);
        }
        self.nodes.push((name, start..self.text.len()));
    }
}

/// The longest prefix that holds all entries, which are in order and at least one.
fn common<A: Addr>(entries: &[Entry<A>]) -> Prefix<A> {
    let (first, last) = (entries[0].prefix, entries[entries.len() - 1].prefix);
    let shared = (first.addr.bits() ^ last.addr.bits()).leading_zeros() as u8;
    Prefix::new(first.addr, shared.min(first.len).min(last.len))
}

/// Walks the binary tree of the entries from its leaves up. What is left over of a subtree is cut off when it is as heavy
/// as wanted; the rest goes to the subtree above.
fn prune<A: Addr>(entries: &[Entry<A>], weight: usize, cut: &mut Vec<Vec<Entry<A>>>, rest: &mut Vec<Entry<A>>) {
    let mark = rest.len();
    if let [one] = entries {
        rest.push(*one);
        return;
    }
    // Disjoint entries differ in a bit, so both halves hold some; the recursion is as deep as an address is long.
    let shared = common(entries);
    let half = Prefix::new(shared.addr, shared.len + 1).last();
    let (low, high) = entries.split_at(entries.partition_point(|e| e.prefix.addr <= half));
    prune(low, weight, cut, rest);
    prune(high, weight, cut, rest);
    if rest.len() - mark >= weight {
        cut.push(rest.split_off(mark));
    }
}

/// The name of a chain by its tree, its level where that matters, and its prefix: not by its content, so that a change of
/// the content stays inside of the chain.
fn node_name<A: Addr>(tree: &str, level: usize, prefix: Prefix<A>) -> String {
    let mut hash = Sha256::new();
    hash.update(tree);
    hash.update([0, level as u8, prefix.len]);
    hash.update(prefix.addr.bits().to_be_bytes());
    let mut name = String::with_capacity(NODE.len() + DIGITS);
    name.push_str(NODE);
    push_base32(&hash.finalize(), &mut name);
    name
}

/// The number of characters that tell apart what has the same kind of name.
pub(super) const DIGITS: usize = 13;

/// Appends the first 65 bits as [`DIGITS`] characters.
pub(super) fn push_base32(digest: &[u8], out: &mut String) {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let bits = digest.iter().take(16).fold(0u128, |bits, byte| bits << 8 | u128::from(*byte));
    out.extend((1..=DIGITS).map(|i| char::from(ALPHABET[(bits >> (128 - 5 * i) & 31) as usize])));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn entries<A: Addr>(prefixes: impl IntoIterator<Item = Prefix<A>>) -> Vec<Entry<A>> {
        let mut prefixes: Vec<Prefix<A>> = prefixes.into_iter().collect();
        prefixes.sort();
        prefixes.into_iter().map(|prefix| Entry { prefix, action: 0 }).collect()
    }

    /// The chains of a list by name: each rule as its network and where it leads.
    fn table(list: &[Entry<u128>]) -> HashMap<String, Vec<(Option<String>, String)>> {
        let mut chains = Chains::default();
        let actions = ["-j ACCEPT".to_owned()];
        let list = List { id: "t", root: "ROOT", entries: list, actions: &actions, miss: Some("-g H993-REST") };
        let root = chains.add(&list).unwrap();
        let (declarations, rules) = chains.finish();
        let mut out: HashMap<String, Vec<_>> = HashMap::new();
        for line in root.lines().chain(rules.lines()) {
            let words: Vec<&str> = line.split(' ').collect();
            let network = (words[2] == "-s").then(|| words[3].to_owned());
            out.entry(words[1].to_owned()).or_default().push((network, words[words.len() - 1].to_owned()));
        }
        let mut names: Vec<&str> = declarations.lines().map(|l| &l[1..l.len() - 8]).collect();
        assert!(names.is_sorted());
        names.push("ROOT");
        assert_eq!(names.len(), out.len());
        assert!(names.iter().all(|n| out.contains_key(*n) && n.len() <= 28));
        out
    }

    fn walk(table: &HashMap<String, Vec<(Option<String>, String)>>, address: u128) -> (String, usize, usize) {
        let (mut chain, mut rules, mut levels) = ("ROOT".to_owned(), 0, 1);
        loop {
            let (_, to) = table[&chain]
                .iter()
                .find(|(network, _)| {
                    rules += 1;
                    network.as_ref().is_none_or(|n| {
                        let set: crate::net::AddrSet = n.parse().unwrap();
                        set.v6.contains(address)
                    })
                })
                .unwrap();
            if !to.starts_with(NODE) {
                return (to.clone(), rules, levels);
            }
            chain.clone_from(to);
            levels += 1;
        }
    }

    /// Every other subtree on the way to one address: a list that nests as deeply as an address is long.
    fn nested(address: u128, each: u8) -> impl Iterator<Item = Prefix<u128>> {
        (1..=120).flat_map(move |len: u8| {
            let side = Prefix::new(address ^ 1 << (128 - len), len);
            (0..1u128 << each).filter_map(move |n| {
                let long = (len + each + 1).min(128);
                (len + each < 128).then(|| Prefix::new(side.addr | n << (128 - u32::from(len + each)), long))
            })
        })
    }

    #[test]
    fn every_network_is_found_and_no_other() {
        let seed = Sha256::digest("tree");
        let start = u128::from_be_bytes(seed[..16].try_into().unwrap());
        let spread = (0..3000u128)
            .map(|i| Prefix::new(start.wrapping_mul(2 * i + 1), 20 + (i % 100) as u8))
            .collect::<crate::net::Ranges<u128>>();
        let deep = nested(0x2001_0db8 << 96, 6).collect::<crate::net::Ranges<u128>>();
        for set in [spread, deep] {
            let list = entries(set.prefixes());
            assert!(list.len() > 1000);
            let table = table(&list);
            for entry in &list {
                for address in [entry.prefix.addr, entry.prefix.last()] {
                    let (to, rules, levels) = walk(&table, address);
                    assert_eq!(to, "ACCEPT");
                    assert!(levels <= LEVELS && rules < 120, "{levels} levels, {rules} rules");
                }
                for outside in [entry.prefix.addr.wrapping_sub(1), entry.prefix.last().wrapping_add(1)] {
                    let trusted = set.contains(outside);
                    assert_eq!(walk(&table, outside).0 == "ACCEPT", trusted);
                }
            }
        }
    }

    #[test]
    fn a_short_list_is_one_chain_and_the_whole_space_has_no_source() {
        let one = table(&entries([Prefix::new(0, 0)]));
        assert_eq!(one["ROOT"], [(None, "ACCEPT".to_owned()), (None, "H993-REST".to_owned())]);
        let none = table(&[]);
        assert_eq!(none["ROOT"], [(None, "H993-REST".to_owned())]);
    }

    #[test]
    fn a_change_stays_in_its_chain() {
        let all: Vec<Prefix<u128>> = (0..2000u128).map(|i| Prefix::new(i << 100, 48)).collect();
        let before = table(&entries(all.iter().copied()));
        let after = table(&entries(all.iter().copied().filter(|p| p.addr != 977 << 100)));
        let changed = before.iter().filter(|(name, rules)| after.get(*name) != Some(rules)).count();
        assert_eq!(changed, 1);
    }
}
