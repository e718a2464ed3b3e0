//! A proposed profile as text. Nothing of the old rules leaves its comment: they are cut to what a line of text may hold.

use std::fmt::Write as _;

use crate::net::{Addr, AddrSet, Ranges, no_source};
use crate::profile;

use super::share::{Entry, Shared};

/// The longest comment taken from a ruleset, in characters.
const COMMENT: usize = 300;

/// The profile.
pub(super) fn profile(source: &str, ports: &[u16], shared: &Shared, left_out: &[String]) -> String {
    let mut out = String::new();
    // Writing to a String cannot fail.
    let whom =
        if left_out.is_empty() { "exactly who those rules let in." } else { "who those rules let in, but for this:" };
    let _ = writeln!(out, "# Proposed from {}: it trusts {whom}", comment(source));
    for line in left_out {
        let _ = writeln!(out, "# Not taken over: {}", comment(line));
    }
    let ports = ports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let _ = writeln!(out, "\nschema = 1\nname = \"proposed\"\n\n[service]\nports = [{ports}]");
    if shared.forwarded {
        out.push_str("forwarded = true  # the old rules send the port on to another host\n");
    }
    if shared.entries.is_empty() {
        out.push_str("closed = true  # nobody could connect\n");
    }
    if shared.prefixes.iter().any(Option::is_some) {
        out.push_str("\n[limits]\n");
        for (name, length) in ["ipv4_prefix", "ipv6_prefix"].into_iter().zip(shared.prefixes) {
            if let Some(length) = length {
                let _ = writeln!(out, "{name} = {length}");
            }
        }
    }
    for (number, one) in shared.entries.iter().enumerate() {
        entry(&mut out, number + 1, one);
    }
    out
}

fn entry(out: &mut String, number: usize, entry: &Entry) {
    let granted = &entry.granted;
    let _ = writeln!(out, "\n# {}\n[[trusted]]\nname = \"rule-{number}\"", comment(&granted.rule));
    if entry.via.is_none() || !granted.sources.contains_all(&no_source().complement()) {
        networks(out, &granted.sources);
    }
    if let Some(via) = &entry.via {
        let _ = writeln!(out, "via = [\"{via}\"]");
    }
    if !granted.terms.is_unlimited() {
        let rate = granted
            .terms
            .rate
            .map(|b| format!("new_connections = \"{}/{}\", burst = {}", b.rate.count, b.rate.per.name(), b.burst));
        let concurrent = granted.terms.concurrent.map(|n| format!("concurrent = {n}"));
        let parts: Vec<String> = rate.into_iter().chain(concurrent).collect();
        let _ = writeln!(out, "limits = {{ {} }}", parts.join(", "));
    }
}

/// A set as `networks`, with `except` where most of a family is in it.
fn networks(out: &mut String, sources: &AddrSet) {
    let families = [
        (AddrSet { v4: sources.v4.clone(), ..AddrSet::new() }, "0.0.0.0/0", true),
        (AddrSet { v6: sources.v6.clone(), ..AddrSet::new() }, "::/0", false),
    ];
    let (mut held, mut except) = (Vec::new(), Vec::new());
    for (set, whole, is_v4) in families {
        let others = set.union(no_source()).complement();
        let others = if is_v4 {
            AddrSet { v4: others.v4, ..AddrSet::new() }
        } else {
            AddrSet { v6: others.v6, ..AddrSet::new() }
        };
        let (direct, carved) = (written(&set), written(&others));
        if set.is_empty() || direct.len() <= carved.len() + 1 {
            held.extend(direct);
        } else {
            held.push(whole.to_owned());
            except.extend(carved);
        }
    }
    for (key, list) in [("networks", held), ("except", except)] {
        if list.is_empty() {
            continue;
        }
        let _ = writeln!(out, "{key} = [");
        for network in list {
            let _ = writeln!(out, "  \"{network}\",");
        }
        out.push_str("]\n");
    }
}

/// A set as a profile writes it: a range where it would take more than two prefixes.
fn written(set: &AddrSet) -> Vec<String> {
    fn family<A: Addr>(ranges: &Ranges<A>, out: &mut Vec<String>) {
        for span in ranges.spans() {
            if span.prefixes().nth(2).is_some() {
                out.push(format!("{}-{}", span.first.ip(), span.last.ip()));
            } else {
                out.extend(span.prefixes().map(|p| p.to_string()));
            }
        }
    }
    let mut out = Vec::new();
    family(&set.v4, &mut out);
    family(&set.v6, &mut out);
    out
}

/// A text that cannot leave a comment line.
fn comment(text: &str) -> String {
    let short: String = text.chars().take(COMMENT).collect();
    profile::harmless(&short)
}
