//! Generated policies as the profiles that an administrator would write of them.

use std::fmt::Write as _;

use harden993::access::{Bucket, Refuse};
use harden993::net::{Addr, AddrSet, Ranges, Span, no_source};
use harden993::policy::{Draft, Forwarded, Limit};

/// The profile of a draft. Addresses from which no connection comes are left out.
pub(crate) fn profile(name: &str, draft: &Draft) -> String {
    let mut out = format!("schema = 1\nname = \"{name}\"\n");
    let list = |items: &[String]| format!("[{}]", items.join(", "));
    let quoted = |items: Vec<String>| list(&items.iter().map(|i| format!("\"{i}\"")).collect::<Vec<_>>());
    let grants: Vec<_> = draft.grants.iter().map(|g| (sayable(&g.sources), g)).collect();
    let grants: Vec<_> = grants.into_iter().filter(|(sources, _)| !sources.is_empty()).collect();
    let plaintext = if draft.close_plaintext { "close" } else { "leave" };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "[service]\nports = {:?}\nclosed = {}", draft.ports, grants.is_empty());
    if !draft.ports.contains(&143) {
        let _ = writeln!(out, "plaintext_imap = \"{plaintext}\"");
    }
    if !draft.interfaces.is_empty() {
        let _ = writeln!(out, "interfaces = {}", quoted(draft.interfaces.iter().map(ToString::to_string).collect()));
    }
    match &draft.forwarded {
        Forwarded::No => {}
        Forwarded::Translated => out.push_str("forwarded = true\n"),
        Forwarded::Routed(to) => {
            let _ = writeln!(out, "forwarded = {}", quoted(networks(to)));
        }
    }
    let action = if draft.action == Refuse::Drop { "drop" } else { "reject" };
    let log = draft.log.as_ref().map_or("false".to_owned(), |log| {
        let rate = log.rate.expect("generated log policies have a rate");
        format!("{{ rate = \"{}\", burst = {} }}", rate.rate, rate.burst)
    });
    let _ = writeln!(out, "[untrusted]\naction = \"{action}\"\nlog = {log}");
    if grants.iter().any(|(_, g)| g.limit.is_some()) {
        let _ = writeln!(out, "[limits]\nipv4_prefix = {}\nipv6_prefix = {}", draft.ipv4_prefix, draft.ipv6_prefix);
    }
    for (number, (sources, grant)) in grants.iter().enumerate() {
        let _ = writeln!(out, "[[trusted]]\nname = \"entry{number}\"");
        if grant.via.is_empty() || grant.sources != AddrSet::all() {
            let _ = writeln!(out, "networks = {}", quoted(networks(sources)));
        }
        if !grant.via.is_empty() {
            let _ = writeln!(out, "via = {}", quoted(grant.via.iter().map(ToString::to_string).collect()));
        }
        if let Some(limit) = grant.limit {
            let _ = writeln!(out, "limits = {{ {} }}", limits(limit));
        }
    }
    let blocked = sayable(&draft.blocked);
    if !blocked.is_empty() {
        let _ = writeln!(out, "[[blocked]]\nname = \"blocked\"\nnetworks = {}", quoted(networks(&blocked)));
    }
    out
}

fn limits(limit: Limit) -> String {
    let rate = limit.rate.map(|Bucket { rate, burst }| format!("new_connections = \"{rate}\", burst = {burst}"));
    let concurrent = limit.concurrent.map(|n| format!("concurrent = {n}"));
    rate.into_iter().chain(concurrent).collect::<Vec<_>>().join(", ")
}

/// What a profile may name of a set: no connection comes from the rest.
fn sayable(set: &AddrSet) -> AddrSet {
    set.minus(no_source())
}

/// The networks of a set as ranges.
fn networks(set: &AddrSet) -> Vec<String> {
    fn family<A: Addr>(ranges: &Ranges<A>) -> Vec<String> {
        let one = |s: &Span<A>| {
            if s.first == s.last { s.first.ip().to_string() } else { format!("{}-{}", s.first.ip(), s.last.ip()) }
        };
        ranges.spans().iter().map(one).collect()
    }
    let mut out = family(&set.v4);
    out.extend(family(&set.v6));
    out
}
