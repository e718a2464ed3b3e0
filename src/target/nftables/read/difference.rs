//! How our table in a listing differs from our table in a rendering, if it does so only in the networks of its sets.

use crate::net::{Addr, Span};
use crate::target::ReadError;
use crate::target::nftables::{REVISION, TABLE};

use super::document::{Chain, Document, Element, Elements, Op, Right, Set, Statement, Table};
use super::field::Field;
use super::{parse, statement};

/// All that differs.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target::nftables) struct Difference {
    /// The name of the chain that says which policy is loaded.
    pub(in crate::target::nftables) loaded: String,
    /// The name that it is to have.
    pub(in crate::target::nftables) wanted: String,
    /// The sets whose networks differ.
    pub(in crate::target::nftables) sets: Vec<SetDifference>,
    /// How many elements the interval sets of the whole host hold, which nft reads before it deletes an element anywhere.
    pub(in crate::target::nftables) intervals: usize,
}

/// How a set of networks differs.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target::nftables) struct SetDifference {
    pub(in crate::target::nftables) name: String,
    pub(in crate::target::nftables) interval: bool,
    pub(in crate::target::nftables) networks: Networks,
}

/// The networks of a set, by family.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target::nftables) enum Networks {
    V4(Changed<u32>),
    V6(Changed<u128>),
}

/// Two sorted lists of networks, and what only one of them holds.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::target::nftables) struct Changed<A> {
    pub(in crate::target::nftables) removed: Vec<Span<A>>,
    pub(in crate::target::nftables) added: Vec<Span<A>>,
    /// All that are loaded.
    pub(in crate::target::nftables) loaded: Vec<Span<A>>,
    /// All that are wanted.
    pub(in crate::target::nftables) wanted: Vec<Span<A>>,
}

/// The difference; none if it is in more than networks.
///
/// # Errors
/// The listing cannot be read. `before` lines stand before it in its file.
pub(in crate::target::nftables) fn difference(
    listed: &str,
    before: u32,
    rendered: &str,
) -> Result<Option<Difference>, ReadError> {
    let listed = parse::document(listed).map_err(|e| ReadError { line: e.line + before, ..e })?;
    let rendered = parse::document(rendered)?;
    let (Some(live), Some(wanted)) = (own_table(&listed), own_table(&rendered)) else { return Ok(None) };
    let (Some(from), Some(to)) = (revision(live), revision(wanted)) else { return Ok(None) };
    if live.dormant || !same_chains((&listed, live), (&rendered, wanted)) || !live.sets.keys().eq(wanted.sets.keys()) {
        return Ok(None);
    }
    let mut sets = Vec::new();
    for ((name, a), b) in live.sets.iter().zip(wanted.sets.values()) {
        if (a.interval, a.changes, a.timeout) != (b.interval, b.changes, b.timeout) {
            return Ok(None);
        }
        if a.changes {
            continue;
        }
        let Some(networks) = networks(a, b) else { return Ok(None) };
        let same = match &networks {
            Networks::V4(c) => c.removed.is_empty() && c.added.is_empty(),
            Networks::V6(c) => c.removed.is_empty() && c.added.is_empty(),
        };
        if !same {
            sets.push(SetDifference { name: name.clone(), interval: b.interval, networks });
        }
    }
    let intervals =
        listed.tables.iter().flat_map(|t| t.sets.values()).filter(|s| s.interval).map(|s| s.elements.len()).sum();
    Ok(Some(Difference { loaded: from.to_owned(), wanted: to.to_owned(), sets, intervals }))
}

fn own_table<'d>(document: &'d Document<'_>) -> Option<&'d Table> {
    document.tables.iter().find(|t| !t.gone && format!("{} {}", t.family.word(), t.name) == TABLE)
}

/// The name of the one chain that says which policy is loaded.
fn revision(table: &Table) -> Option<&str> {
    let mut names = table.chains.iter().map(|c| c.name.as_str()).filter(|n| n.starts_with(REVISION));
    match (names.next(), names.next()) {
        (Some(one), None) => Some(one),
        _ => None,
    }
}

/// A table of a document, or a chain of one.
type Of<'d, T> = (&'d Document<'d>, &'d T);

fn same_chains((of_a, a): Of<'_, Table>, (of_b, b): Of<'_, Table>) -> bool {
    let sorted = |t: &'_ Table| -> Vec<usize> {
        let mut out: Vec<usize> = (0..t.chains.len()).filter(|i| !t.chains[*i].name.starts_with(REVISION)).collect();
        out.sort_by_key(|i| t.chains[*i].name.as_str());
        out
    };
    let (left, right) = (sorted(a), sorted(b));
    left.len() == right.len()
        && left.iter().zip(&right).all(|(x, y)| same_chain((of_a, &a.chains[*x]), (of_b, &b.chains[*y])))
}

fn same_chain((of_a, a): Of<'_, Chain>, (of_b, b): Of<'_, Chain>) -> bool {
    let said = |document, rule| normal(&statement::of_rule(document, rule));
    a.name == b.name
        && a.base == b.base
        && a.rules.len() == b.rules.len()
        && a.rules.iter().zip(&b.rules).all(|(x, y)| said(of_a, x) == said(of_b, y))
}

/// The statements of a rule in one spelling.
fn normal(statements: &[Statement]) -> Vec<Statement> {
    let mut out: Vec<Statement> = statements.iter().filter(|s| **s != Statement::Nothing).cloned().collect();
    for statement in &mut out {
        let Statement::Match { key, op, right } = statement else { continue };
        if let ([only], Right::Value(value)) = (&mut key[..], &*right)
            && only.field == Field::TcpFlags
            && let Some(mask) = only.mask.take()
        {
            *right = Right::Under(value.clone(), mask);
        } else if let Right::Set(elements) = right
            && key.iter().all(|k| k.field != Field::TcpFlags)
        {
            elements.sort_by(|a, b| a.key.cmp(&b.key));
            if let [Element { key, data: None }] = &elements[..]
                && let [one] = &key[..]
            {
                *right = Right::Value(one.clone());
            }
        }
        if let Right::Under(value, mask) = right {
            for flags in [value, mask] {
                let mut names: Vec<&str> = flags.split([',', '|']).collect();
                names.sort_unstable();
                *flags = names.join(",");
            }
        }
        // Flags without a mask that are equal to a value are not those that have any of it.
        let exact = matches!(right, Right::Value(_)) && key.iter().any(|k| k.field == Field::TcpFlags);
        if *op == Op::Equal && !exact {
            *op = Op::Is;
        }
    }
    out
}

/// How the networks of two sets differ; none if they are not networks of one family.
fn networks(a: &Set, b: &Set) -> Option<Networks> {
    // A set that somebody has emptied has no family that could be seen.
    let none = |e: &Elements| matches!(e, Elements::Any(list) if list.is_empty());
    match (&a.elements, &b.elements) {
        (Elements::V4(a), Elements::V4(b)) => Some(Networks::V4(changed(a, b))),
        (Elements::V6(a), Elements::V6(b)) => Some(Networks::V6(changed(a, b))),
        (empty, Elements::V4(b)) if none(empty) => Some(Networks::V4(changed(&[], b))),
        (empty, Elements::V6(b)) if none(empty) => Some(Networks::V6(changed(&[], b))),
        _ => None,
    }
}

fn changed<A: Addr>(a: &[Span<A>], b: &[Span<A>]) -> Changed<A> {
    let sorted = |spans: &[Span<A>]| {
        let mut out = spans.to_vec();
        if !out.is_sorted() {
            out.sort_unstable();
        }
        out
    };
    let (a, b) = (sorted(a), sorted(b));
    let (mut removed, mut added) = (Vec::new(), Vec::new());
    let (mut i, mut j) = (0, 0);
    loop {
        match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) if x == y => (i, j) = (i + 1, j + 1),
            (Some(x), y) if y.is_none_or(|y| x < y) => {
                removed.push(*x);
                i += 1;
            }
            (_, Some(y)) => {
                added.push(*y);
                j += 1;
            }
            _ => return Changed { removed, added, loaded: a, wanted: b },
        }
    }
}
