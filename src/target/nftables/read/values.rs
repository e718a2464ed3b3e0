//! What a key is looked up in, as addresses, ports and words.

use std::collections::HashMap;
use std::sync::Arc;

use crate::net::{Addr, AddrSet, Family, Network, Ranges, Span, parse_network};
use crate::ruleset::Ports;

use super::document::{Element, Elements, Right, Table};

/// The values that a key is compared with.
#[derive(Clone, Debug)]
pub(super) enum Values<'d> {
    One(&'d str),
    Under(&'d str, &'d str),
    List(Vec<&'d Element>),
    /// A named set of addresses.
    Addresses(&'d str, &'d Elements),
    /// Not known, and why.
    Unknown(String),
}

/// The sets of one table.
#[derive(Debug)]
pub(super) struct Sets<'d> {
    table: &'d Table,
    /// What was made of a set of addresses under a mask: several rules and chains look into one.
    known: HashMap<(&'d str, Family, u8), Arc<AddrSet>>,
    /// A set that has one element twice.
    torn: Option<&'d str>,
}

impl<'d> Sets<'d> {
    pub(super) fn new(table: &'d Table) -> Self {
        Self { table, known: HashMap::new(), torn: None }
    }

    /// The time after which a set forgets an element.
    pub(super) fn timeout(&self, name: &str) -> Option<u64> {
        self.table.sets.get(name).and_then(|s| s.timeout)
    }

    /// A set, among those that were looked into, that was listed with an element twice ([`Ruleset::torn`]).
    ///
    /// [`Ruleset::torn`]: crate::ruleset::Ruleset::torn
    pub(super) fn torn(&self) -> Option<&'d str> {
        self.torn
    }

    pub(super) fn values<'v>(&self, right: &'v Right) -> Values<'v>
    where
        'd: 'v,
    {
        match right {
            Right::Value(value) => Values::One(value),
            Right::Under(value, mask) => Values::Under(value, mask),
            Right::Set(elements) => Values::List(elements.iter().collect()),
            Right::Named(name) => match self.table.sets.get(name) {
                None => Values::Unknown(format!("it depends on the set {name}, which is not listed")),
                Some(set) if set.changes || self.table.fed.contains(name) => {
                    Values::Unknown(format!("it depends on the set {name}, which changes by itself"))
                }
                Some(set) => match &set.elements {
                    Elements::Any(elements) => Values::List(elements.iter().collect()),
                    Elements::Unknown(what) => Values::Unknown(format!("the set {name} holds {what}")),
                    addresses => Values::Addresses(name, addresses),
                },
            },
        }
    }

    /// The addresses of one family whose part under a mask is among the values.
    pub(super) fn addresses(
        &mut self,
        values: &Values<'_>,
        family: Family,
        mask: Option<&str>,
    ) -> Result<Arc<AddrSet>, String> {
        let bits = if family == Family::V4 { u32::BITS as u8 } else { u128::BITS as u8 };
        let len = match mask {
            None => bits,
            Some(text) => match prefix_of_mask(text, family) {
                Some(len) => len,
                None => return under_holes(values, family, text).map(Arc::new),
            },
        };
        if let Values::Addresses(name, elements) = values {
            if let Some(set) = self.known.get(&(*name, family, len)) {
                return Ok(Arc::clone(set));
            }
            let mut set = AddrSet::new();
            let repeats;
            match (elements, family) {
                (Elements::V4(spans), Family::V4) => (set.v4, repeats) = masked(spans, len),
                (Elements::V6(spans), Family::V6) => (set.v6, repeats) = masked(spans, len),
                _ => return Err(format!("the set {name} holds addresses of the other family")),
            }
            let Some((name, listed)) = self.table.sets.get_key_value(*name) else {
                return Err(format!("it depends on the set {name}, which is not listed"));
            };
            // Intervals are listed as they lie in a tree; only a hash table can be torn.
            if repeats && !listed.interval {
                self.torn = Some(name);
            }
            let set = Arc::new(set);
            self.known.insert((name, family, len), Arc::clone(&set));
            return Ok(set);
        }
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for text in values.texts()? {
            match (parse_network(text.as_bytes()), family) {
                _ if text == "*" => return Ok(Arc::new(AddrSet::family(family))),
                (Ok(Network::V4(span)), Family::V4) => v4.push(span),
                (Ok(Network::V6(span)), Family::V6) => v6.push(span),
                _ => return Err(format!("it depends on the address {text}")),
            }
        }
        Ok(Arc::new(AddrSet { v4: masked(&v4, len).0, v6: masked(&v6, len).0 }))
    }
}

impl<'d> Values<'d> {
    /// Each value as text, where they are single ones.
    pub(super) fn texts(&self) -> Result<Vec<&'d str>, String> {
        match self {
            Self::One(text) => Ok(vec![text]),
            Self::Under(..) => Err("it depends on a mask".to_owned()),
            Self::List(elements) => elements
                .iter()
                .map(|e| match &e.key[..] {
                    [one] => Ok(one.as_str()),
                    _ => Err("it depends on a concatenation".to_owned()),
                })
                .collect(),
            Self::Addresses(name, _) => Err(format!("it depends on the addresses of {name}")),
            Self::Unknown(because) => Err(because.clone()),
        }
    }
}

/// The most bits that a mask with holes may leave open above its tail.
const HOLES: usize = 12;

/// The most values that are compared under a mask with holes.
const MOST_UNDER_HOLES: usize = 64;

/// The addresses whose bits under a mask with holes are one of the values.
fn under_holes(values: &Values<'_>, family: Family, mask: &str) -> Result<AddrSet, String> {
    let unknown = || format!("it depends on the mask {mask}");
    let texts = values.texts().map_err(|_| unknown())?;
    if texts.len() > MOST_UNDER_HOLES {
        return Err(unknown());
    }
    let mask = parse_network(mask.as_bytes()).map_err(|_| unknown())?;
    let mut out = AddrSet::new();
    for text in texts {
        match (parse_network(text.as_bytes()).map_err(|_| unknown())?, mask, family) {
            (Network::V4(value), Network::V4(mask), Family::V4) => {
                out.v4 = out.v4.union(&equal_under(value, mask.first).ok_or_else(unknown)?);
            }
            (Network::V6(value), Network::V6(mask), Family::V6) => {
                out.v6 = out.v6.union(&equal_under(value, mask.first).ok_or_else(unknown)?);
            }
            _ => return Err(unknown()),
        }
    }
    Ok(out)
}

/// The addresses that are equal to one under a mask: none, if it has bits that the mask has not.
fn equal_under<A: Addr>(value: Span<A>, mask: A) -> Option<Ranges<A>> {
    if value.first != value.last {
        return None;
    }
    if value.first.and(mask) == value.first {
        Ranges::under_mask(value.first, mask, HOLES)
    } else {
        Some(Ranges::new())
    }
}

/// The addresses whose first `len` bits are those of a span's address that ends there; and whether, all of them being single
/// addresses, one is there twice.
fn masked<A: Addr>(spans: &[Span<A>], len: u8) -> (Ranges<A>, bool) {
    let mask = A::mask(len.min(A::BITS));
    let mut out = Vec::with_capacity(spans.len());
    out.extend(spans.iter().filter_map(|s| {
        // Only addresses without bits behind the mask can be equal to a masked one.
        let first = if s.first.and(mask) == s.first { s.first } else { s.first.or(mask.not()).next()? };
        let last = s.last.and(mask);
        (first <= last).then(|| Span { first, last: last.or(mask.not()) })
    }));
    let listed = out.len() as u128;
    let ranges = Ranges::from_spans(out);
    // Each address that counts stands for as many, so the size of the whole tells how many there are.
    let distinct = ranges.count().get().and_then(|n| n.checked_shr(u32::from(A::BITS - len.min(A::BITS))));
    (ranges, distinct.is_some_and(|n| n < listed))
}

/// The prefix length of a mask, if it is one.
pub(super) fn prefix_of_mask(text: &str, family: Family) -> Option<u8> {
    fn length<A: Addr>(mask: A) -> Option<u8> {
        let len = A::BITS - mask.trailing_zeros().min(A::BITS);
        (A::mask(len) == mask).then_some(len)
    }
    match (parse_network(text.as_bytes()).ok()?, family) {
        (Network::V4(s), Family::V4) if s.first == s.last => length(s.first),
        (Network::V6(s), Family::V6) if s.first == s.last => length(s.first),
        _ => None,
    }
}

/// The names of services that stand in rulesets about mail and its neighbours (`nft -S` prints names).
const SERVICES: &[(&str, u16)] = &[
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("domain", 53),
    ("http", 80),
    ("pop3", 110),
    ("imap2", 143),
    ("imap", 143),
    ("https", 443),
    ("submissions", 465),
    ("submission", 587),
    ("imaps", 993),
    ("pop3s", 995),
    ("sieve", 4190),
];

/// Ports of a value: a number, a range, a service.
pub(super) fn ports(text: &str) -> Option<(u16, u16)> {
    if text == "*" {
        return Some((0, u16::MAX));
    }
    if let Some((first, last)) = text.split_once('-')
        && let (Some(first), Some(last)) = (number(first), number(last))
    {
        return Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?));
    }
    let port = match number(text) {
        Some(n) => u16::try_from(n).ok()?,
        None => SERVICES.iter().find(|(name, _)| *name == text)?.1,
    };
    Some((port, port))
}

/// The ports of all values.
pub(super) fn port_set(values: &Values<'_>) -> Result<Ports, String> {
    let mut out = Vec::new();
    for text in values.texts()? {
        out.push(ports(text).ok_or_else(|| format!("it depends on the port {text}"))?);
    }
    out.sort_unstable();
    Ok(Ports(out))
}

/// A number as nft prints it, decimal or hexadecimal.
pub(super) fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None if text.bytes().all(|b| b.is_ascii_digit()) => text.parse().ok(),
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks() {
        assert_eq!(prefix_of_mask("255.255.255.240", Family::V4), Some(28));
        assert_eq!(prefix_of_mask("0.0.0.0", Family::V4), Some(0));
        assert_eq!(prefix_of_mask("255.0.255.0", Family::V4), None);
        assert_eq!(prefix_of_mask("ffff:ffff::", Family::V6), Some(32));
        assert_eq!(prefix_of_mask("::", Family::V6), Some(0));
        let spans: Vec<Span<u32>> = vec![Span::new(16, 16), Span::new(33, 33), Span::new(47, 64)];
        assert_eq!(masked(&spans, 28).0.spans(), [Span::new(16, 31), Span::new(48, 79)]);
        assert!(masked(&[Span::new(u32::MAX, u32::MAX)], 8).0.is_empty());
    }

    #[test]
    fn an_address_that_is_listed_twice() {
        let single = |list: &[u32]| list.iter().map(|a| Span::new(*a, *a)).collect::<Vec<_>>();
        let repeats = |list: &[u32], len| masked(&single(list), len).1;
        assert!(!repeats(&[16, 32, 64], 28) && !repeats(&[16, 17], 32) && !repeats(&[], 0) && !repeats(&[0], 0));
        assert!(repeats(&[16, 32, 16], 28) && repeats(&[17, 16, 17], 32) && repeats(&[0, 0], 0));
        // What has bits behind the mask is never met, and counts for nothing.
        assert!(!repeats(&[16, 17, 17], 28));
        assert!(masked(&[Span::new(7u128, 7), Span::new(7, 7)], 128).1);
        assert!(!masked(&[Span::<u128>::new(0, 0)], 0).1);
    }

    #[test]
    fn ports_in_every_spelling() {
        assert_eq!(ports("993"), Some((993, 993)));
        assert_eq!(ports("imaps"), Some((993, 993)));
        assert_eq!(ports("0x3e1"), Some((993, 993)));
        assert_eq!(ports("1024-65535"), Some((1024, 65535)));
        assert_eq!(ports("65536"), None);
        assert_eq!(ports("-"), None);
    }
}
