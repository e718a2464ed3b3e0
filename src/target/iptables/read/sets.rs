//! The sets of `ipset save`, which rules name and `iptables-save` does not show.

use std::collections::HashMap;
use std::sync::Arc;

use crate::access::Pattern;
use crate::net::{Addr, AddrSet, Family, Network, Prefix, Ranges, Span};
use crate::ruleset::{Match, Ports};

use super::addresses;
use super::ports::ports;
use super::targets::printable;

/// The sets of a listing by name.
#[derive(Debug, Default)]
pub(in super::super) struct Sets<'t> {
    sets: HashMap<&'t str, Set<'t>>,
}

#[derive(Debug, Default)]
struct Set<'t> {
    /// What an element is made of: `hash:net,port`.
    kind: &'t str,
    /// How long a prefix of an element is, where the set cuts elements to one.
    prefix: Option<u8>,
    /// Whether it has an option that is not modelled.
    odd: bool,
    /// Each element, and whether it is an exception (`nomatch`).
    elements: Vec<(&'t str, bool)>,
}

/// The tests of parts other than addresses, and the addresses by the place of their part.
type Group = (Vec<Match>, Vec<(usize, AddrSet)>);

/// The most members of a `list:set` whose members are followed, and how deep.
const NESTED: usize = 16;

impl<'t> Sets<'t> {
    /// Takes a line outside of any table. False if it is none of `ipset save`.
    pub(super) fn line(&mut self, line: &'t str) -> bool {
        let mut words = line.split_ascii_whitespace();
        match (words.next(), words.next(), words.next()) {
            (Some("create" | "-N"), Some(name), Some(kind)) => {
                let mut set = Set { kind, ..Set::default() };
                while let Some(word) = words.next() {
                    match word {
                        "netmask" => set.prefix = words.next().and_then(|n| n.parse().ok()),
                        "bitmask" => set.odd = true,
                        _ => {}
                    }
                }
                self.sets.insert(name, set);
                true
            }
            (Some("add" | "-A"), Some(name), Some(element)) => {
                if let Some(set) = self.sets.get_mut(name) {
                    match exception(words) {
                        Some(exception) => set.elements.push((element, exception)),
                        None => set.odd = true,
                    }
                }
                true
            }
            (Some("COMMIT"), None, None) => true,
            _ => false,
        }
    }

    /// Whether a packet's `directions` (`src`, `dst,src`, …) are in the set.
    pub(super) fn test(&self, name: &str, directions: &str, family: Family) -> Match {
        self.nested(name, directions, family, 0)
    }

    fn nested(&self, name: &str, directions: &str, family: Family, depth: usize) -> Match {
        let unknown = |why: &str| Match::Unknown(format!("the set {} {why}", printable(name)));
        let Some(set) = self.sets.get(name) else { return unknown("is not in the listing") };
        let dimensions: Vec<&str> = set.kind.split_once(':').map_or("", |(_, d)| d).split(',').collect();
        if set.odd || depth > NESTED {
            return unknown("is of a kind that is not modelled");
        }
        let directions: Vec<&str> = directions.split(',').collect();
        match dimensions[..] {
            ["set"] if set.elements.len() <= NESTED => Match::Any(
                set.elements
                    .iter()
                    .map(|(member, _)| self.nested(member, directions.join(",").as_str(), family, depth + 1))
                    .collect(),
            ),
            ["ip" | "net"] => match set.networks(family) {
                Some(networks) => addresses::test(Some(networks), directions[0] == "src", family),
                None => unknown("has an element that is not modelled"),
            },
            _ => set
                .tuples(&dimensions, &directions, family)
                .unwrap_or_else(|| unknown("is of a kind that is not modelled")),
        }
    }
}

/// Whether an element is an exception, by the options behind it (ipset(8)); none if they are not all known.
fn exception<'t>(mut words: impl Iterator<Item = &'t str>) -> Option<bool> {
    let mut exception = false;
    while let Some(word) = words.next() {
        match word {
            "nomatch" => exception = true,
            "timeout" | "packets" | "bytes" | "skbmark" | "skbprio" | "skbqueue" => drop(words.next()?),
            // In quotes, which no comment can hold.
            "comment" => {
                let first = words.next()?;
                if !(first.len() > 1 && first.ends_with('"')) {
                    words.find(|w| w.ends_with('"'))?;
                }
            }
            _ => return None,
        }
    }
    Some(exception)
}

impl Set<'_> {
    /// All elements as one set of addresses. The longest prefix decides, be it an element or an exception.
    fn networks(&self, family: Family) -> Option<AddrSet> {
        let cut = |network: Network| match (network, self.prefix) {
            (Network::V4(s), Some(len)) => Network::V4(widened(s, len)),
            (Network::V6(s), Some(len)) => Network::V6(widened(s, len)),
            (network, None) => network,
        };
        let parse = |text: &str| match text.split_once('-') {
            Some(_) => text.parse::<AddrSet>().ok(),
            None => addresses::network(text).map(|n| AddrSet::from(cut(n))),
        };
        if self.elements.iter().all(|(_, exception)| !exception) {
            let mut out: Vec<Network> = Vec::with_capacity(self.elements.len());
            for (text, _) in &self.elements {
                if let Some(network) = addresses::network(text) {
                    out.push(cut(network));
                } else {
                    let set = parse(text)?;
                    out.extend(set.v4.spans().iter().map(|s| Network::V4(*s)));
                    out.extend(set.v6.spans().iter().map(|s| Network::V6(*s)));
                }
            }
            return Some(out.into_iter().collect());
        }
        fn in_layers<A: Addr>(mut elements: Vec<(Span<A>, bool)>) -> Ranges<A> {
            elements.sort_by_key(|(s, _)| std::cmp::Reverse(A::distance(s.first, s.last)));
            let mut out = Ranges::new();
            for layer in elements
                .chunk_by(|(a, x), (b, y)| A::distance(a.first, a.last) == A::distance(b.first, b.last) && x == y)
            {
                let set: Ranges<A> = layer.iter().map(|(s, _)| *s).collect();
                out = if layer[0].1 { out.minus(&set) } else { out.union(&set) };
            }
            out
        }
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for (text, exception) in &self.elements {
            let set = parse(text)?;
            v4.extend(set.v4.spans().iter().map(|s| (*s, *exception)));
            v6.extend(set.v6.spans().iter().map(|s| (*s, *exception)));
        }
        Some(match family {
            Family::V4 => AddrSet { v4: in_layers(v4), v6: Ranges::new() },
            Family::V6 => AddrSet { v4: Ranges::new(), v6: in_layers(v6) },
        })
    }

    /// Elements of several parts: addresses that stand with the same other parts are one test.
    fn tuples(&self, dimensions: &[&str], directions: &[&str], family: Family) -> Option<Match> {
        let mut groups: Vec<Group> = Vec::new();
        let mut numbers: HashMap<String, usize> = HashMap::new();
        for (element, exception) in &self.elements {
            let parts: Vec<&str> = element.split(',').collect();
            if *exception || parts.len() != dimensions.len() || directions.len() < dimensions.len() {
                return None;
            }
            let (mut tests, mut networks, mut key) = (Vec::new(), Vec::new(), String::new());
            for (i, (part, dimension)) in parts.iter().zip(dimensions).enumerate() {
                let source = directions[i] == "src";
                match *dimension {
                    "ip" | "net" => networks.push((i, addresses::network(part)?.into())),
                    "port" => tests.push(port(part, source)?),
                    "iface" if source => tests.push(Match::Interface(vec![Pattern::name(*part)])),
                    _ => return None,
                }
                if !matches!(*dimension, "ip" | "net") {
                    key.push_str(part);
                    key.push(',');
                }
            }
            // With two addresses an element is a pair, which only joins its like.
            if networks.len() > 1 {
                key.push_str(element);
            }
            let next = groups.len();
            let number = *numbers.entry(key).or_insert(next);
            match groups.get_mut(number) {
                Some((_, all)) => all.extend(networks),
                None => groups.push((tests, networks)),
            }
        }
        let mut any = Vec::with_capacity(groups.len());
        for (mut tests, networks) in groups {
            for (i, direction) in directions.iter().enumerate().take(dimensions.len()) {
                let mine: Vec<Network> = networks
                    .iter()
                    .filter(|(n, _)| n == &i)
                    .flat_map(|(_, s)| {
                        let v4 = s.v4.spans().iter().map(|s| Network::V4(*s));
                        v4.chain(s.v6.spans().iter().map(|s| Network::V6(*s)))
                    })
                    .collect();
                if matches!(dimensions[i], "ip" | "net") {
                    let set: AddrSet = mine.into_iter().collect();
                    tests.push(match *direction {
                        "src" => Match::Source(Arc::new(set)),
                        _ => addresses::test(Some(set), false, family),
                    });
                }
            }
            any.push(Match::All(tests));
        }
        Some(Match::Any(any))
    }
}

/// `tcp:993`, `993`: whether the packet's port is that one.
fn port(part: &str, source: bool) -> Option<Match> {
    let (protocol, number) = part.split_once(':').unwrap_or(("tcp", part));
    if !matches!(protocol, "tcp" | "6") {
        return Some(Match::Never);
    }
    let ports: Ports = ports(number)?;
    Some(if source { Match::SourcePort(ports) } else { Match::Port(ports) })
}

fn widened<A: Addr>(span: Span<A>, len: u8) -> Span<A> {
    Prefix::new(span.first, len.min(A::BITS)).into()
}
