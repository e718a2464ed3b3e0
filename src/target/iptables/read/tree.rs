//! Our trees of chains read back as what they are: a list of networks for each thing that becomes of them.
//!
//! A tree is followed only while every rule in it tests the source alone and goes on by goto. Anything else in it, a circle,
//! or more ways through it than it has chains, and the chains stay as they are, to be evaluated like anybody's.

use std::sync::Arc;

use crate::net::{Addr, AddrSet, Family, Network, Ranges, Span};

use super::super::tree::NODE;
use super::addresses::network;
use super::block::{Block, RawChain};

/// The chains that can be the root of a tree.
const ROOTS: [&str; 3] = ["H993-BLOCKED", "H993-TRUSTED", "H993-VIA-"];

/// The most rules of a chain of a tree. Ours have fewer than a hundred; in a longer one each would be looked at for each
/// piece of the space.
const CHAIN: usize = 256;

/// One rule of a flattened root.
#[derive(Debug)]
pub(super) struct FlatRule<'t> {
    /// The networks; none: every source.
    pub(super) sources: Option<Arc<AddrSet>>,
    /// The rest of the rule: `-j ACCEPT`; empty: back to where the root was jumped to.
    pub(super) action: &'t str,
    /// Where the first rule of this action stands.
    pub(super) line: u32,
    /// How an origin shows it.
    pub(super) text: String,
}

/// What was flattened of a table.
#[derive(Debug, Default)]
pub(super) struct Flat<'t> {
    roots: Vec<(usize, Vec<FlatRule<'t>>)>,
    nodes: Vec<bool>,
}

impl<'t> Flat<'t> {
    /// Whether a chain is part of a tree and no more to be seen.
    pub(super) fn absorbed(&self, chain: usize) -> bool {
        self.nodes.get(chain).copied().unwrap_or_default()
    }

    /// The rules of a chain, if it is the root of a tree.
    pub(super) fn rules(&self, chain: usize) -> Option<&[FlatRule<'t>]> {
        self.roots.iter().find(|(n, _)| *n == chain).map(|(_, rules)| &rules[..])
    }
}

/// Flattens the trees of a table.
pub(super) fn flatten<'t>(block: &Block<'t>) -> Flat<'t> {
    let mut flat = Flat::default();
    for (number, chain) in block.chains.iter().enumerate() {
        if !ROOTS.iter().any(|r| if r.ends_with('-') { chain.name.starts_with(r) } else { chain.name == *r }) {
            continue;
        }
        let rules = match block.family {
            Family::V4 => root::<u32>(block, number),
            Family::V6 => root::<u128>(block, number),
        };
        match rules {
            Some(rules) => flat.roots.push((number, rules)),
            // One tree that cannot be followed leaves all chains in their places.
            None => return Flat::default(),
        }
    }
    if !flat.roots.is_empty() {
        flat.nodes = block.chains.iter().map(|c| c.name.starts_with(NODE)).collect();
    }
    flat
}

/// What becomes of the sources that come to an end of the tree.
struct Exit<'t, A> {
    action: &'t str,
    line: u32,
    rules: usize,
    spans: Vec<Span<A>>,
}

/// One rule of a tree: its network, if it has one, and the rest.
fn split<A: Addr>(text: &str) -> Option<(Span<A>, &str)> {
    let Some(rest) = text.strip_prefix("-s ") else {
        return Some((Span::all(), text));
    };
    let (address, action) = rest.split_once(' ')?;
    let span = match network(address)? {
        Network::V4(s) => A::of(&AddrSet::from(Network::V4(s))).spans().first().copied(),
        Network::V6(s) => A::of(&AddrSet::from(Network::V6(s))).spans().first().copied(),
    };
    Some((span?, action))
}

/// Whether the rest of a rule is one that ends the way of a packet, and nothing else.
fn ends(block: &Block<'_>, action: &str) -> bool {
    match action.split_once(' ') {
        Some(("-j", verdict)) => matches!(verdict, "ACCEPT" | "DROP" | "RETURN"),
        Some(("-g", chain)) => block.number(chain).is_some(),
        _ => false,
    }
}

fn root<'t, A: Addr>(block: &Block<'t>, root: usize) -> Option<Vec<FlatRule<'t>>> {
    let mut exits: Vec<Exit<'t, A>> = Vec::new();
    let mut last = 0;
    let mut record = |action: &'t str, line: u32, span: Span<A>| {
        if exits.get(last).is_none_or(|e| e.action != action) {
            last = exits.iter().position(|e| e.action == action).unwrap_or(exits.len());
            if last == exits.len() {
                exits.push(Exit { action, line, rules: 0, spans: Vec::new() });
            }
        }
        exits[last].rules += 1;
        exits[last].spans.push(span);
    };
    // Each chain of a tree of ours is entered once.
    let mut budget = 2 * block.chains.len() + 64;
    let mut todo: Vec<(&RawChain<'t>, Vec<Span<A>>)> = vec![(&block.chains[root], vec![Span::all()])];
    while let Some((chain, mut free)) = todo.pop() {
        budget = budget.checked_sub(1)?;
        if chain.rules.len() > CHAIN {
            return None;
        }
        for rule in &chain.rules {
            let (span, action) = split::<A>(rule.text)?;
            let taken = take(&mut free, span);
            if let Some(node) = action.strip_prefix("-g ").filter(|n| n.starts_with(NODE)) {
                if !taken.is_empty() {
                    todo.push((block.chain(node)?, taken));
                }
            } else if ends(block, action) {
                for span in taken {
                    record(action, rule.number, span);
                }
            } else {
                return None;
            }
        }
        // What falls off the end of a chain that was gone to goes back to where the root was jumped to.
        for span in free {
            record("", 0, span);
        }
    }
    // What becomes of the sources that are in no list stands in the last rule of the root, if it has one.
    let default = block.chains[root].rules.last().map(|r| r.text).filter(|t| !t.starts_with("-s ")).unwrap_or("");
    let mut out: Vec<FlatRule<'t>> = exits
        .into_iter()
        .filter(|e| e.action != default)
        .map(|exit| {
            let mut set = AddrSet::new();
            *A::of_mut(&mut set) = Ranges::from_spans(exit.spans);
            let text = match exit.rules {
                1 => format!("-s {set} {}", exit.action),
                n => format!("-s ({n} networks) {}", exit.action),
            };
            FlatRule { sources: Some(Arc::new(set)), action: exit.action, line: exit.line, text }
        })
        .collect();
    out.sort_by_key(|r| r.line);
    if !default.is_empty() {
        let line = block.chains[root].rules.last().map_or(0, |r| r.number);
        out.push(FlatRule { sources: None, action: default, line, text: default.to_owned() });
    }
    Some(out)
}

/// Takes the part of sorted spans that lies in a span, and leaves the rest.
fn take<A: Addr>(free: &mut Vec<Span<A>>, span: Span<A>) -> Vec<Span<A>> {
    let from = free.partition_point(|s| s.last < span.first);
    let to = free.partition_point(|s| s.first <= span.last);
    if from >= to {
        return Vec::new();
    }
    let mut taken = Vec::with_capacity(to - from);
    let mut left = Vec::with_capacity(2);
    for s in &free[from..to] {
        taken.push(Span { first: s.first.max(span.first), last: s.last.min(span.last) });
        if let Some(last) = span.first.prev().filter(|l| s.first <= *l) {
            left.push(Span { first: s.first, last });
        }
        if let Some(first) = span.last.next().filter(|f| *f <= s.last) {
            left.push(Span { first, last: s.last });
        }
    }
    free.splice(from..to, left);
    taken
}
