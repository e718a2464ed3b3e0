//! Addresses as the tools take them: with a prefix length or a dotted mask, joined by commas, host bits cleared.

use std::sync::Arc;

use crate::net::{AddrSet, Family, Network, Prefix, Ranges, Span, parse_address, parse_network};
use crate::ruleset::Match;

/// What is said of an address that this reader does not take: a host name, or a spelling that means something else to
/// different programs.
const ODD: &str = "an address in an unusual spelling";

/// One network.
pub(super) fn network(text: &str) -> Option<Network> {
    // As it is printed; everything else costs a second look.
    if let Ok(network) = parse_network(text.as_bytes())
        && !text.contains('-')
    {
        return Some(network);
    }
    let (address, mask) = text.split_once('/')?;
    match (parse_address(address.as_bytes()).ok()?, parse_address(mask.as_bytes())) {
        (Network::V4(a), Ok(Network::V4(m))) => masked(a.first, m.first).map(Network::V4),
        (Network::V6(a), Ok(Network::V6(m))) => masked(a.first, m.first).map(Network::V6),
        (a, Err(_)) => {
            let len: u8 = mask.parse().ok().filter(|_| mask.bytes().all(|b| b.is_ascii_digit()))?;
            match a {
                Network::V4(a) if len <= 32 => Some(Network::V4(Prefix::new(a.first, len).into())),
                Network::V6(a) if len <= 128 => Some(Network::V6(Prefix::new(a.first, len).into())),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The network of a mask without holes.
fn masked<A: crate::net::Addr>(address: A, mask: A) -> Option<Span<A>> {
    let len = A::BITS - mask.trailing_zeros().min(A::BITS);
    (A::mask(len) == mask).then(|| Prefix::new(address, len).into())
}

/// The set of `A,B,…`.
pub(super) fn set(text: &str) -> Option<AddrSet> {
    if let Some(one) = network(text) {
        return Some(one.into());
    }
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        match network(part) {
            Some(Network::V4(span)) => v4.push(span),
            Some(Network::V6(span)) => v6.push(span),
            None if v4.len() + v6.len() > MOST_UNDER_HOLES => return None,
            None => {
                let set = holed(part)?;
                v4.extend_from_slice(set.v4.spans());
                v6.extend_from_slice(set.v6.spans());
            }
        }
    }
    Some(AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) })
}

/// The most networks to which a list that holds masks with holes may come.
const MOST_UNDER_HOLES: usize = 1 << 20;

/// The most bits that a mask with holes may leave open above its tail.
const HOLES: usize = 12;

/// The networks of a mask with holes: those of `10.0.0.1/255.0.0.255` are 65536 single addresses, which is too many.
fn holed(text: &str) -> Option<AddrSet> {
    let (address, mask) = text.split_once('/')?;
    match (parse_address(address.as_bytes()).ok()?, parse_address(mask.as_bytes()).ok()?) {
        (Network::V4(address), Network::V4(mask)) => {
            Some(AddrSet { v4: Ranges::under_mask(address.first, mask.first, HOLES)?, v6: Ranges::new() })
        }
        (Network::V6(address), Network::V6(mask)) => {
            Some(AddrSet { v4: Ranges::new(), v6: Ranges::under_mask(address.first, mask.first, HOLES)? })
        }
        _ => None,
    }
}

/// The set of ranges `A-B,…` as `iprange` takes them; one that runs backwards holds nothing.
fn range_set(text: &str) -> Option<AddrSet> {
    let (mut v4, mut v6) = (Vec::new(), Vec::new());
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        match (parse_address(first.as_bytes()).ok()?, parse_address(last.as_bytes()).ok()?) {
            (Network::V4(a), Network::V4(b)) if a <= b => v4.push(Span::new(a.first, b.first)),
            (Network::V6(a), Network::V6(b)) if a <= b => v6.push(Span::new(a.first, b.first)),
            (Network::V4(_), Network::V4(_)) | (Network::V6(_), Network::V6(_)) => {}
            _ => return None,
        }
    }
    Some(AddrSet { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) })
}

/// The test of a source or destination.
pub(super) fn test(set: Option<AddrSet>, source: bool, family: Family) -> Match {
    let Some(set) = set else { return Match::Unknown(ODD.to_owned()) };
    // A rule without an address is printed for the whole space.
    let whole = match family {
        Family::V4 => set.v4.is_all(),
        Family::V6 => set.v6.is_all(),
    };
    match (whole, source) {
        (true, _) => Match::Always,
        (false, true) => Match::Source(Arc::new(set)),
        (false, false) => Match::Destination(Arc::new(set)),
    }
}

/// The test of `-s` or `-d`.
pub(super) fn prefix_test(text: &str, source: bool, family: Family) -> Match {
    test(set(text), source, family)
}

/// The test of `--src-range` or `--dst-range`.
pub(super) fn range_test(text: &str, source: bool, family: Family) -> Match {
    test(range_set(text), source, family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_network() {
        let of = |t: &str| set(t).map(|s| s.to_string());
        assert_eq!(of("203.0.113.7/32").as_deref(), Some("203.0.113.7"));
        assert_eq!(of("10.1.2.3/255.255.0.0").as_deref(), Some("10.1.0.0/16"));
        assert_eq!(of("10.1.2.3/8,192.0.2.1").as_deref(), Some("10.0.0.0/8, 192.0.2.1"));
        assert_eq!(of("2001:DB8::1/48").as_deref(), Some("2001:db8::/48"));
        assert_eq!(of("::/ffff::").as_deref(), Some("::/16"));
        assert_eq!(set("10.0.0.7/255.0.255.0").unwrap().v4.spans().len(), 256, "a mask with holes");
        assert_eq!(of("10.0.1.7/255.255.254.255").as_deref(), Some("10.0.0.7, 10.0.1.7"));
        assert_eq!(of("10.0.0.0/255.0.0.255"), None, "too many networks");
        assert_eq!(of("010.0.0.1"), None);
        assert_eq!(of("mail.example.org"), None);
        assert_eq!(of("10.0.0.0/33"), None);
        assert_eq!(range_set("10.0.0.1-10.0.0.2").unwrap().to_string(), "10.0.0.1, 10.0.0.2");
        assert!(range_set("10.0.0.2-10.0.0.1").unwrap().is_empty());
    }
}
