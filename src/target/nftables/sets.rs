//! The sets that hold networks: their shape, and their elements as one string each.

use crate::net::{Addr, Prefix, Span};

/// How many prefixes a plain interval set holds at most. Above, one hash set for each prefix length loads in a third of the
/// time, and an element is added without nft reading all others first; below, networks stay legible as they are.
pub(super) const PLAIN_AT_MOST: usize = 1000;

/// What nft calls things of one family.
pub(super) trait Words: Addr {
    /// In `meta nfproto`, and in chain names.
    const NFPROTO: &'static str;
    /// The source address.
    const SADDR: &'static str;
    /// The destination address.
    const DADDR: &'static str;
    /// The type of an element.
    const TYPE: &'static str;
    /// What the names of this family's sets and chains end in.
    const SUFFIX: &'static str;
    /// How many elements nft prints on one line.
    const A_LINE: usize;
}

impl Words for u32 {
    const NFPROTO: &'static str = "ipv4";
    const SADDR: &'static str = "ip saddr";
    const DADDR: &'static str = "ip daddr";
    const TYPE: &'static str = "ipv4_addr";
    const SUFFIX: &'static str = "_v4";
    const A_LINE: usize = 2;
}

impl Words for u128 {
    const NFPROTO: &'static str = "ipv6";
    const SADDR: &'static str = "ip6 saddr";
    const DADDR: &'static str = "ip6 daddr";
    const TYPE: &'static str = "ipv6_addr";
    const SUFFIX: &'static str = "_v6";
    const A_LINE: usize = 1;
}

/// A named set with its elements.
#[derive(Debug)]
pub(super) struct NetworkSet {
    /// Its name.
    pub(super) name: String,
    /// `ipv4_addr` or `ipv6_addr`.
    pub(super) kind: &'static str,
    /// Whether its elements are networks; else they are the first addresses of networks of one length.
    pub(super) interval: bool,
    /// The elements, separated and wrapped as nft lists them.
    pub(super) elements: String,
    /// The test of a packet's source that goes with the set, with a blank at its end.
    pub(super) test: String,
}

/// The sets that together hold some networks, with `field` as what is looked up in them (`ip saddr`).
pub(super) fn of_networks<A: Words>(
    name: &str,
    field: &str,
    networks: impl Iterator<Item = Span<A>> + Clone,
) -> Vec<NetworkSet> {
    let prefixes = networks.flat_map(Span::prefixes);
    let mut counts = [0usize; 129];
    prefixes.clone().for_each(|p| counts[usize::from(p.len)] += 1);
    let total: usize = counts.iter().sum();
    if total == 0 {
        return Vec::new();
    }
    if total <= PLAIN_AT_MOST {
        return vec![plain(name, field, prefixes)];
    }
    // By length, not by how many networks have it: that order would move with every change of the list.
    let mut sets: Vec<Option<(NetworkSet, usize)>> = (0..=A::BITS)
        .map(|len| {
            let count = counts[usize::from(len)];
            (count > 0).then(|| (hashed::<A>(name, field, len, count), 0))
        })
        .collect();
    for Prefix { addr, len } in prefixes {
        if let Some((set, written)) = &mut sets[usize::from(len)] {
            separate::<A>(&mut set.elements, *written);
            addr.write(&mut set.elements);
            *written += 1;
        }
    }
    sets.into_iter().flatten().map(|(set, _)| set).collect()
}

/// One interval set, whatever its size.
pub(super) fn plain<A: Words>(name: &str, field: &str, prefixes: impl Iterator<Item = Prefix<A>>) -> NetworkSet {
    let mut elements = String::new();
    for (i, prefix) in prefixes.enumerate() {
        separate::<A>(&mut elements, i);
        prefix.write(&mut elements);
    }
    let name = format!("{name}{}", A::SUFFIX);
    NetworkSet { test: format!("{field} @{name} "), name, kind: A::TYPE, interval: true, elements }
}

fn hashed<A: Words>(name: &str, field: &str, len: u8, count: usize) -> NetworkSet {
    let name = format!("{name}{}_{len}", A::SUFFIX);
    let test = match mask::<A>(len) {
        None => format!("{field} @{name} "),
        Some(mask) => format!("{field} & {mask} == @{name} "),
    };
    let elements = String::with_capacity(count * if A::BITS == 32 { 24 } else { 48 });
    NetworkSet { name, kind: A::TYPE, interval: false, elements, test }
}

/// The mask of a prefix length as text; none where it would change nothing.
pub(super) fn mask<A: Addr>(len: u8) -> Option<String> {
    (len < A::BITS).then(|| {
        let mut text = String::new();
        A::mask(len).write(&mut text);
        text
    })
}

/// Writes what stands before the element of a number.
fn separate<A: Words>(out: &mut String, number: usize) {
    if number > 0 {
        out.push_str(if number.is_multiple_of(A::A_LINE) { ",\n\t\t\t     " } else { ", " });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{AddrSet, Ranges};

    fn v4(text: &[&str]) -> Ranges<u32> {
        text.iter().map(|t| t.parse::<AddrSet>().unwrap()).fold(AddrSet::new(), |a, b| a.union(&b)).v4
    }

    #[test]
    fn few_networks_are_one_interval_set_laid_out_as_nft_does() {
        let nets = v4(&["1.1.1.1", "2.2.2.0/24", "3.0.0.0/8", "5.0.0.0/8", "7.0.0.0/8"]);
        let sets = of_networks("trusted", u32::SADDR, nets.spans().iter().copied());
        assert_eq!(sets.len(), 1);
        assert_eq!(sets[0].test, "ip saddr @trusted_v4 ");
        assert_eq!(sets[0].elements, "1.1.1.1, 2.2.2.0/24,\n\t\t\t     3.0.0.0/8, 5.0.0.0/8,\n\t\t\t     7.0.0.0/8");
        assert!(of_networks("trusted", u32::SADDR, std::iter::empty::<Span<u32>>()).is_empty());
    }

    #[test]
    fn many_networks_are_one_set_for_each_length_in_order_of_length() {
        let singles = (0..1000u32).map(|i| Prefix::new(i << 12, 32));
        let nets: Ranges<u32> = singles.chain([Prefix::new(10 << 24, 28)]).collect();
        let sets = of_networks("trusted", u32::SADDR, nets.spans().iter().copied());
        let tests: Vec<&str> = sets.iter().map(|s| s.test.as_str()).collect();
        assert_eq!(tests, ["ip saddr & 255.255.255.240 == @trusted_v4_28 ", "ip saddr @trusted_v4_32 "]);
        assert_eq!(sets[0].elements, "10.0.0.0");
        assert_eq!(sets[1].elements.matches(", ").count() + sets[1].elements.matches(",\n").count(), 999);
    }
}
