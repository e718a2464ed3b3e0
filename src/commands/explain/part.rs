//! Cuts what is asked about into parts that are decided alike, for the same reason.

use std::collections::HashMap;

use crate::access::{Interface, Packet, Refuse, Verdict};
use crate::net::{AddrSet, Family, Network, no_source};
use crate::policy::{Class, ClassId, Policy};

use super::super::profile::Usable;
use super::reason::Reason;

/// Addresses that are decided alike, for the same reason.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// The verdict, as reports name it.
    pub(super) verdict: &'static str,
    /// What the sources stand under, if the verdict is a limit.
    pub(super) limit: Option<String>,
    /// Why.
    pub(super) reason: Reason,
    /// The addresses.
    pub(super) networks: AddrSet,
}

/// The parts of a network for one interface and port, in the order of their first addresses. Addresses from which no
/// connection comes are in none of them.
pub(super) fn parts(profile: &Usable, network: Network, interface: &Interface, port: u16) -> Vec<Part> {
    let policy = &profile.policy;
    let whole = |reason, class: Option<Class>| {
        let (verdict, limit) = class.map_or(("accept", None), |c| verdict(policy, c, network));
        vec![Part { verdict, limit, reason, networks: AddrSet::from(network).minus(no_source()) }]
    };
    if *interface == Interface::Loopback {
        return whole(Reason::Loopback, None);
    }
    if !policy.covers(interface) {
        return whole(Reason::OtherInterface(interface.label().unwrap_or_default()), None);
    }
    if !policy.ports.contains(&port) {
        return if policy.all_ports().contains(&port) {
            whole(Reason::Plaintext, Some(Class::Refused))
        } else {
            whole(Reason::OtherPort(port), None)
        };
    }
    let mut found: Vec<((ClassId, Reason), Vec<Network>)> = Vec::new();
    let mut known: HashMap<(ClassId, Reason), usize> = HashMap::new();
    for part in profile.loaded.provenance.parts(network) {
        let sources = AddrSet::from(part).minus(no_source());
        // All addresses of a part are named by the same lines, so one of them stands for all.
        let Some(first) = first(&sources) else { continue };
        let partition = &policy.zone(interface).partition;
        let class = match first {
            std::net::IpAddr::V4(a) => partition.v4.at(a.into()),
            std::net::IpAddr::V6(a) => partition.v6.at(a.into()),
        };
        let key = (class, Reason::of(&profile.loaded.provenance, first, interface, policy.class(class)));
        let i = *known.entry(key).or_insert_with_key(|key| {
            found.push((key.clone(), Vec::new()));
            found.len() - 1
        });
        found[i].1.push(part);
    }
    let parts = found.into_iter().map(|((class, reason), networks)| {
        let (verdict, limit) = verdict(policy, policy.class(class), network);
        Part { verdict, limit, reason, networks: networks.into_iter().collect::<AddrSet>().minus(no_source()) }
    });
    parts.collect()
}

/// What becomes of a packet of this class that opens a connection, and its limits.
fn verdict(policy: &Policy, class: Class, network: Network) -> (&'static str, Option<String>) {
    let family = match network {
        Network::V4(_) => Family::V4,
        Network::V6(_) => Family::V6,
    };
    match policy.decide(class, Packet::Opening, family).verdict {
        Verdict::Accept => ("accept", None),
        Verdict::Limit { limits, .. } => ("limit", Some(limits.to_string())),
        Verdict::Refuse(Refuse::Drop) => ("drop", None),
        Verdict::Refuse(Refuse::Reset | Refuse::Icmp | Refuse::Either) => ("reject", None),
        Verdict::Unknown { .. } => ("unknown", None),
    }
}

fn first(set: &AddrSet) -> Option<std::net::IpAddr> {
    let v4 = set.v4.spans().first().map(|s| std::net::IpAddr::V4(s.first.into()));
    v4.or_else(|| set.v6.spans().first().map(|s| std::net::IpAddr::V6(s.first.into())))
}
