//! Our own part of a host's rules: whether there is any, how it is printed, and what the host would be with another one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::access::RuleId;
use crate::net::AddrSet;
use crate::ruleset::{Chain, ChainId, Match, Ports, Rule, Ruleset, Then};

use super::Action;
use super::address;
use super::lower::section_name;

/// The kinds of rules that our group holds, in the order of the printed text.
const KINDS: [Action; 2] = [Action::Allow, Action::Block];

/// The chains of our own rules of one kind: one for each network profile that differs from the others.
fn sections(ruleset: &Ruleset, action: Action) -> impl Iterator<Item = &Chain> {
    let name = section_name(action, true);
    ruleset.chains.iter().filter(move |c| c.name == name)
}

/// Whether a ruleset holds anything of ours.
pub(super) fn has_ours(ruleset: &Ruleset) -> bool {
    ruleset.digest.is_some() || KINDS.iter().any(|k| sections(ruleset, *k).any(|c| !c.rules.is_empty()))
}

/// Our rules as text: each kind with what it tests, and its networks merged, one a line. How they are spread over rules does
/// not show.
pub(super) fn print(ruleset: &Ruleset) -> String {
    if !has_ours(ruleset) {
        return String::new();
    }
    let mut out = String::new();
    if let Some(digest) = &ruleset.digest {
        out.push_str("policy ");
        out.push_str(digest);
        out.push('\n');
    }
    for kind in KINDS {
        let mut texts: Vec<String> = sections(ruleset, kind).map(|c| print_section(ruleset, c, kind)).collect();
        // Network profiles in which our rules are the same are not told apart.
        texts.dedup();
        out.extend(texts);
    }
    out
}

fn print_section(ruleset: &Ruleset, chain: &Chain, kind: Action) -> String {
    let mut parts: BTreeMap<String, AddrSet> = BTreeMap::new();
    for rule in &chain.rules {
        let heading = describe(&rule.matches);
        if let Then::Jump(inner) = rule.then {
            let set = parts.entry(heading).or_default();
            let inner = ruleset.chains.get(inner.0 as usize).map_or(&[][..], |c| &c.rules);
            // All at once: one union a rule would cost the square of their number.
            let (mut v4, mut v6) = (set.v4.spans().to_vec(), set.v6.spans().to_vec());
            for source in inner.iter().flat_map(|r| &r.matches).filter_map(sources) {
                v4.extend_from_slice(source.v4.spans());
                v6.extend_from_slice(source.v6.spans());
            }
            *set = AddrSet { v4: crate::net::Ranges::from_spans(v4), v6: crate::net::Ranges::from_spans(v6) };
        } else {
            let known = rule.matches.iter().filter_map(sources).fold(AddrSet::new(), |a, b| a.union(b));
            let set = parts.entry(heading).or_default();
            *set = set.union(&known);
        }
    }
    let mut out = String::new();
    for (heading, set) in parts {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}{heading}", kind.kind());
        for span in set.v4.spans() {
            out.push_str("    ");
            address::write(*span, &mut out);
            out.push('\n');
        }
        for span in set.v6.spans() {
            out.push_str("    ");
            address::write(*span, &mut out);
            out.push('\n');
        }
    }
    out
}

/// The addresses that a test of the source names, as far as they are known.
fn sources(m: &Match) -> Option<&AddrSet> {
    match m {
        Match::Source(set) => Some(set),
        Match::Any(inner) => inner.iter().find_map(sources),
        _ => None,
    }
}

/// Everything that is tested but the source's known addresses.
fn describe(matches: &[Match]) -> String {
    let mut out = String::new();
    for m in matches {
        let _ = match m {
            Match::Port(ports) => write!(out, " tcp port {}", port_list(ports)),
            Match::SourcePort(ports) => write!(out, " from port {}", port_list(ports)),
            Match::Interface(patterns) => {
                let names: Vec<String> = patterns.iter().map(|p| format!("{:?}", p.text())).collect();
                write!(out, " interface {}", names.join(", "))
            }
            Match::Destination(set) => write!(out, " to {set}"),
            Match::Unknown(because) => write!(out, " where {because}"),
            Match::Any(inner) => {
                let inner: Vec<String> =
                    inner.iter().filter(|m| sources(m).is_none()).map(|m| describe(std::slice::from_ref(m))).collect();
                write!(out, "{}", inner.concat())
            }
            _ => Ok(()),
        };
    }
    out
}

fn port_list(ports: &Ports) -> String {
    let one = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}-{b}") };
    ports.0.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// The host's ruleset with our rules replaced by those of a rendering. They take the place of ours in every network profile
/// in which local rules count; where those are ignored, so would the new ones be.
pub(super) fn replace_ours(current: &Ruleset, rendered: &Ruleset) -> Ruleset {
    let mut out = current.clone();
    let (chains, origins, stages) = (out.chains.len() as u32, out.origins.len() as u32, out.stages.len());
    out.join(rendered.clone());
    out.digest.clone_from(&rendered.digest);
    if stages == 0 {
        return out;
    }
    out.stages.truncate(stages);
    for kind in KINDS {
        let new: Vec<Rule> = sections(rendered, kind).next().map_or_else(Vec::new, |c| c.rules.clone());
        let new: Vec<Rule> = new
            .into_iter()
            .map(|rule| Rule {
                origin: RuleId(rule.origin.0 + origins),
                then: match rule.then {
                    Then::Jump(id) => Then::Jump(ChainId(id.0 + chains)),
                    then => then,
                },
                ..rule
            })
            .collect();
        let name = section_name(kind, true);
        for chain in out.chains.iter_mut().take(chains as usize).filter(|c| c.name == name) {
            chain.rules.clone_from(&new);
        }
    }
    // The rendering's own frame is not needed any more, and its chains must not be taken for the host's.
    for chain in out.chains.iter_mut().skip(chains as usize) {
        chain.name.insert_str(0, "new ");
    }
    out
}
