//! A table as stages and chains of the one model.

use std::sync::Arc;

use crate::net::Family;
use crate::ruleset::{ChainId, Hook, Match, Origin, Rule, Ruleset, Stage, Then};

use super::super::render::DIGEST;
use super::block::{Block, Line};
use super::rule::{Context, Parsed, parse};
use super::sets::Sets;
use super::tree;
use crate::access::Refuse;

/// The built-in chains that a TCP connection towards this host or through it passes, with their places
/// (`NF_IP_PRI_*` in `linux/netfilter_ipv4.h`).
const BUILT_IN: &[(&str, &str, Hook, i32)] = &[
    ("raw", "PREROUTING", Hook::Prerouting, -300),
    ("mangle", "PREROUTING", Hook::Prerouting, -150),
    ("nat", "PREROUTING", Hook::Prerouting, -100),
    ("mangle", "INPUT", Hook::Input, -150),
    ("filter", "INPUT", Hook::Input, 0),
    ("security", "INPUT", Hook::Input, 50),
    ("mangle", "FORWARD", Hook::Forward, -150),
    ("filter", "FORWARD", Hook::Forward, 0),
    ("security", "FORWARD", Hook::Forward, 50),
];

/// The most bytes of somebody's rule that an origin keeps. Rules of ours are compared by their texts and kept whole.
const SHOWN: usize = 240;

/// Adds a table.
pub(super) fn add(block: &Block<'_>, sets: &Sets<'_>, ruleset: &mut Ruleset) {
    if block.hidden {
        return hidden(block, ruleset);
    }
    let (tool, table) = (block.tool(), block.table);
    let place = |chain: &str| format!("{tool} {table} {chain}");
    let flat = tree::flatten(block);
    // Chains that are read as part of a tree have no number of their own.
    let numbers: Vec<Option<ChainId>> = block
        .chains
        .iter()
        .enumerate()
        .map(|(i, chain)| (!flat.absorbed(i)).then(|| ruleset.chain(place(chain.name))))
        .collect();
    let chain_of = |name: &str| block.number(name).and_then(|n| numbers[n]);
    let context = Context { family: block.family, sets, chain: &chain_of };
    for (number, chain) in block.chains.iter().enumerate() {
        let Some(id) = numbers[number] else { continue };
        let place: Arc<str> = place(chain.name).into();
        if let Some(rules) = flat.rules(number) {
            for rule in rules {
                let then = match rule.action {
                    "" => Then::Return,
                    action => parse(action, &context).then,
                };
                let origin = ruleset.origin(Origin {
                    place: place.clone(),
                    line: rule.line,
                    handle: None,
                    text: rule.text.clone(),
                });
                let matches = rule.sources.clone().map(Match::Source).into_iter().collect();
                ruleset.push(id, Rule { matches, log: None, then, origin });
            }
            continue;
        }
        for line in &chain.rules {
            let Parsed { matches, log, then, comment } = parse(line.text, &context);
            if chain.name == "H993-POLICY" && ruleset.digest.is_none() {
                ruleset.digest = comment.and_then(|c| c.strip_prefix(DIGEST).map(str::to_owned));
            }
            let origin = ruleset.origin(origin(&place, *line, chain.name.starts_with("H993-")));
            ruleset.push(id, Rule { matches, log, then, origin });
        }
    }
    for (of_table, name, hook, priority) in BUILT_IN {
        if *of_table != table {
            continue;
        }
        let jump = if *hook == Hook::Input { "H993-IN" } else { "H993-FWD" };
        let (chain, policy) = match chain_of(name) {
            Some(chain) => (chain, block.chain(name).map_or("ACCEPT", |c| c.policy)),
            // A rendering of ours is read as it will be loaded: its jump is the first rule, and nothing else is known.
            None if block.rendering && table == "filter" => match chain_of(jump) {
                Some(to) => (jumping(ruleset, &place(name), to, jump), "ACCEPT"),
                None => continue,
            },
            None => continue,
        };
        ruleset.stages.push(Stage {
            name: place(name),
            hook: *hook,
            priority: *priority,
            family: Some(block.family),
            nat: table == "nat",
            chain,
            policy: if policy == "DROP" { Then::Refuse(Refuse::Drop) } else { Then::Accept },
            ours: false,
        });
    }
}

/// A built-in chain that holds nothing but our jump.
fn jumping(ruleset: &mut Ruleset, place: &str, to: ChainId, name: &str) -> ChainId {
    let chain = ruleset.chain(place);
    let origin =
        ruleset.origin(Origin { place: place.into(), line: 0, handle: None, text: format!("-p tcp -j {name}") });
    ruleset.push(chain, Rule { matches: Vec::new(), log: None, then: Then::Jump(to), origin });
    chain
}

fn origin(place: &Arc<str>, line: Line<'_>, ours: bool) -> Origin {
    let mut end = if ours { line.text.len() } else { line.text.len().min(SHOWN) };
    while !line.text.is_char_boundary(end) {
        end -= 1;
    }
    Origin { place: Arc::clone(place), line: line.number, handle: None, text: line.text[..end].to_owned() }
}

/// A table that the nft variant cannot show is there all the same, and nobody knows what it does.
fn hidden(block: &Block<'_>, ruleset: &mut Ruleset) {
    let because = format!("the table {} holds rules that only nft can show", block.table);
    for (table, name, hook, priority) in BUILT_IN.iter().filter(|(t, ..)| *t == block.table) {
        let place = format!("{} {table} {name}", block.tool());
        let chain = ruleset.chain(place.clone());
        ruleset.stages.push(Stage {
            name: place,
            hook: *hook,
            priority: *priority,
            family: Some(block.family),
            nat: *table == "nat",
            chain,
            policy: Then::Unknown(because.clone()),
            ours: false,
        });
    }
    let family = if block.family == Family::V4 { "IPv4" } else { "IPv6" };
    ruleset.remarks.push(format!("the {family} table {} could not be read: use nft's own listing", block.table));
}
