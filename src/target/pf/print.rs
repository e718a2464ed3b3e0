//! Ours in a ruleset: whether it is there, as text to be compared, and replaced by a rendering.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use crate::access::RuleId;
use crate::net::{Addr, AddrSet, Ranges};
use crate::ruleset::{Chain, Match, Rule, Ruleset, Then};

use super::read;

/// Our chains in a ruleset.
fn ours(ruleset: &Ruleset) -> impl Iterator<Item = &Chain> {
    let names = read::chains_of_ours();
    ruleset.chains.iter().filter(move |c| names.contains(&c.name))
}

pub(super) fn has_ours(ruleset: &Ruleset) -> bool {
    ours(ruleset).any(|c| !c.rules.is_empty())
}

/// The digest, the rules in their order, and the tables with one entry a line.
pub(super) fn print(ruleset: &Ruleset) -> String {
    let mut rules: BTreeMap<RuleId, &Rule> = BTreeMap::new();
    for rule in ours(ruleset).flat_map(|c| &c.rules) {
        rules.entry(rule.origin).or_insert(rule);
    }
    if rules.is_empty() {
        return String::new();
    }
    let mut out = String::new();
    if let Some(digest) = &ruleset.digest {
        let _ = writeln!(out, "# policy {digest}");
    }
    let mut tables: BTreeMap<String, Arc<AddrSet>> = BTreeMap::new();
    for (origin, rule) in rules {
        let Some(listed) = ruleset.origin_of(origin) else { continue };
        let canonical = read::canonical(&listed.text);
        out.push_str(&canonical.text);
        out.push('\n');
        for m in &rule.matches {
            let (name, set) = match m {
                Match::Source(set) => (&canonical.source, set),
                Match::Destination(set) => (&canonical.destination, set),
                _ => continue,
            };
            if let Some(name) = name {
                tables.entry(name.clone()).or_insert_with(|| Arc::clone(set));
            }
        }
    }
    for (name, set) in tables {
        let _ = writeln!(out, "table <{name}>");
        write_entries(&set.v4, &mut out);
        write_entries(&set.v6, &mut out);
    }
    out
}

fn write_entries<A: Addr>(ranges: &Ranges<A>, out: &mut String) {
    for prefix in ranges.prefixes() {
        out.push_str("  ");
        prefix.write(out);
        out.push('\n');
    }
}

/// The host's ruleset with the rules of our anchor replaced. What the main ruleset calls stays what it calls: an anchor
/// that is not called is not in force with new rules either.
pub(super) fn replace_ours(current: &Ruleset, rendered: &Ruleset) -> Ruleset {
    let names = read::chains_of_ours();
    let mut out = current.clone();
    if !current.chains.iter().any(|c| names.contains(&c.name)) {
        return if current.stages.is_empty() && current.chains.is_empty() { rendered.clone() } else { out };
    }
    for chain in out.chains.iter_mut().filter(|c| names.contains(&c.name)) {
        chain.rules.clear();
    }
    out.digest.clone_from(&rendered.digest);
    for chain in ours(rendered) {
        // Our rules call no other anchor.
        let rules = chain.rules.iter().filter(|r| !matches!(r.then, Then::Jump(_) | Then::Goto(_)));
        let mut moved = Vec::with_capacity(chain.rules.len());
        let mut numbers: BTreeMap<RuleId, RuleId> = BTreeMap::new();
        for rule in rules {
            let origin = *numbers
                .entry(rule.origin)
                .or_insert_with(|| out.origin(rendered.origin_of(rule.origin).cloned().unwrap_or_default()));
            moved.push(Rule { origin, ..rule.clone() });
        }
        if let Some(to) = out.chains.iter_mut().find(|c| c.name == chain.name) {
            to.rules = moved;
        }
    }
    out
}
