//! Cuts what is asked about into parts that are decided alike, for the same reason.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::access::{Packet, Refuse, Verdict};
use crate::net::{Addr, AddrSet, Family, Network, Span};
use crate::policy::{Class, Policy};

use super::super::profile::Usable;
use super::live::{Live, LiveVerdict};
use super::reason::Reason;
use super::way::Way;

/// Addresses that are decided alike, for the same reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// The verdict, as reports name it.
    pub(super) verdict: &'static str,
    /// What the sources stand under, if the verdict is a limit.
    pub(super) limit: Option<String>,
    /// Why.
    pub(super) reason: Reason,
    /// What a ruleset does, if one was asked.
    pub(super) live: Option<LiveVerdict>,
    /// The addresses.
    pub(super) networks: AddrSet,
}

/// What tells a part from the others: the class (none: not guarded), why, and the ruleset's answer by its number.
type Key = (Option<Class>, Reason, u32);

/// The parts of a network, in the order of their first addresses. Addresses that are not asked about are in none of them.
pub(super) fn parts(profile: &Usable, network: Network, way: &Way, live: &Live) -> Vec<Part> {
    let policy = &profile.policy;
    let unguarded = way.unguarded(policy);
    let pieces = match &unguarded {
        Some(_) => vec![network],
        None => profile.loaded.provenance.parts(network),
    };
    let zone = &policy.zone(&way.interface).partition;
    let mut found: Vec<(Key, Vec<Network>)> = Vec::new();
    let mut known: HashMap<Key, usize> = HashMap::new();
    // All addresses of a piece are named by the same lines and answered alike by the ruleset, so the first stands for all.
    let mut take = |first: IpAddr, piece: Network, answer: u32| {
        let (class, reason) = unguarded.clone().unwrap_or_else(|| {
            let class = policy.class(match first {
                IpAddr::V4(a) => zone.v4.at(a.into()),
                IpAddr::V6(a) => zone.v6.at(a.into()),
            });
            (Some(class), Reason::of(&profile.loaded.provenance, first, &way.interface, class))
        });
        let i = *known.entry((class, reason, answer)).or_insert_with_key(|key| {
            found.push((key.clone(), Vec::new()));
            found.len() - 1
        });
        found[i].1.push(piece);
    };
    for piece in pieces {
        match piece {
            Network::V4(span) => {
                let answers = live.v4.within(span);
                pieces_of(span, answers, |s, answer| take(IpAddr::V4(s.first.into()), Network::V4(s), answer));
            }
            Network::V6(span) => {
                let answers = live.v6.within(span);
                pieces_of(span, answers, |s, answer| take(IpAddr::V6(s.first.into()), Network::V6(s), answer));
            }
        }
    }
    let parts = found.into_iter().map(|((class, reason, answer), networks)| {
        let (verdict, limit) = class.map_or(("accept", None), |c| verdict(policy, c, network));
        let live = live.verdict(answer);
        Part { verdict, limit, reason, live, networks: networks.into_iter().collect() }
    });
    parts.collect()
}

/// The pieces of a span by the ruleset's answers, without those that are not asked about.
fn pieces_of<A: Addr>(
    span: Span<A>,
    answers: impl Iterator<Item = (A, Option<u32>)>,
    mut take: impl FnMut(Span<A>, u32),
) {
    let mut answers = answers.peekable();
    while let Some((first, answer)) = answers.next() {
        let last = answers.peek().and_then(|(next, _)| next.prev()).unwrap_or(span.last);
        if let Some(answer) = answer {
            take(Span { first, last }, answer);
        }
    }
}

/// What becomes of a packet of this class that opens a connection, and its limits.
fn verdict(policy: &Policy, class: Class, network: Network) -> (&'static str, Option<String>) {
    let family = match network {
        Network::V4(_) => Family::V4,
        Network::V6(_) => Family::V6,
    };
    let verdict = policy.decide(class, Packet::Opening, family).verdict;
    let limit = match &verdict {
        Verdict::Limit { limits, .. } => Some(limits.to_string()),
        _ => None,
    };
    (word(&verdict), limit)
}

/// A verdict as reports name it.
pub(super) fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accept => "accept",
        Verdict::Limit { .. } => "limit",
        Verdict::Refuse(Refuse::Drop) => "drop",
        Verdict::Refuse(Refuse::Reset | Refuse::Icmp | Refuse::Either) => "reject",
        Verdict::Unknown { .. } => "unknown",
    }
}
