//! The special-purpose address registries, as far as an administrator must be told, and the addresses from which no
//! connection can come.

use std::sync::LazyLock;

use super::{Addr, AddrSet, Network, Prefix};

/// What a block of special-purpose addresses is for (IANA special-purpose address registries, RFC 6890).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Special {
    /// Loopback: 127/8 and `::1`.
    Loopback,
    /// Link-local: 169.254/16 and `fe80::/10`.
    LinkLocal,
    /// Examples in documentation (RFC 5737, 3849, 9637).
    Documentation,
    /// Multicast: 224/4 and `ff00::/8`.
    Multicast,
    /// IPv4-mapped IPv6, `::ffff:0:0/96`: an IPv4 connection, never seen on the wire as IPv6.
    Mapped,
    /// Reserved, benchmarking, discard-only and other space from which no ordinary client comes.
    Reserved,
}

impl Special {
    /// A short phrase for messages.
    pub fn phrase(self) -> &'static str {
        match self {
            Self::Loopback => "loopback space",
            Self::LinkLocal => "link-local space",
            Self::Documentation => "documentation space",
            Self::Multicast => "multicast",
            Self::Mapped => "IPv4-mapped IPv6",
            Self::Reserved => "reserved space",
        }
    }
}

const V4: &[(u32, u8, Special)] = &[
    (0x0000_0000, 8, Special::Reserved),       // "this network", RFC 791
    (0x7f00_0000, 8, Special::Loopback),       // RFC 1122
    (0xa9fe_0000, 16, Special::LinkLocal),     // RFC 3927
    (0xc000_0000, 24, Special::Reserved),      // IETF protocol assignments, RFC 6890
    (0xc000_0200, 24, Special::Documentation), // TEST-NET-1
    (0xc058_6300, 24, Special::Reserved),      // former 6to4 relay anycast, RFC 7526
    (0xc612_0000, 15, Special::Reserved),      // benchmarking, RFC 2544
    (0xc633_6400, 24, Special::Documentation), // TEST-NET-2
    (0xcb00_7100, 24, Special::Documentation), // TEST-NET-3
    (0xe000_0000, 4, Special::Multicast),      // RFC 5771
    (0xf000_0000, 4, Special::Reserved),       // RFC 1112, with the limited broadcast
];

const V6: &[(u128, u8, Special)] = &[
    (0, 128, Special::Reserved),                     // unspecified
    (1, 128, Special::Loopback),                     // RFC 4291
    (0xffff_0000_0000, 96, Special::Mapped),         // RFC 4291
    (0x0100 << 112, 64, Special::Reserved),          // discard-only, RFC 6666
    (0x2001_0002 << 96, 48, Special::Reserved),      // benchmarking, RFC 5180
    (0x2001_0db8 << 96, 32, Special::Documentation), // RFC 3849
    (0x3fff << 112, 20, Special::Documentation),     // RFC 9637
    (0xfe80 << 112, 10, Special::LinkLocal),         // RFC 4291
    (0xfec0 << 112, 10, Special::Reserved),          // site-local, deprecated by RFC 3879
    (0xff00 << 112, 8, Special::Multicast),          // RFC 4291
];

/// The special block that holds the whole of a network, with the block as text.
///
/// RFC 1918, unique local addresses and 100.64/10 are ordinary for clients and therefore not special here.
pub fn special(network: Network) -> Option<(Special, String)> {
    fn find<A: Addr>(table: &[(A, u8, Special)], first: A, last: A) -> Option<(Special, String)> {
        table
            .iter()
            .map(|(a, l, s)| (Prefix::new(*a, *l), *s))
            .find(|(p, _)| p.addr <= first && last <= p.last())
            .map(|(p, s)| (s, p.to_string()))
    }
    match network {
        Network::V4(s) => find(V4, s.first, s.last),
        Network::V6(s) => find(V6, s.first, s.last),
    }
}

/// The addresses from which no connection can come from outside, and which are therefore outside of every question:
/// 127/8, 0.0.0.0, 224/4, 255.255.255.255, `::`, `::1`, `::ffff:0:0/96` and `ff00::/8` (contract, section 2).
pub fn no_source() -> &'static AddrSet {
    static SET: LazyLock<AddrSet> = LazyLock::new(|| AddrSet {
        v4: [(0, 32), (0x7f00_0000, 8), (0xe000_0000, 4), (u32::MAX, 32)]
            .iter()
            .map(|(a, l)| Prefix::new(*a, *l))
            .collect(),
        v6: [(0, 127), (0xffff_0000_0000, 96), (0xff00 << 112, 8)].iter().map(|(a, l)| Prefix::new(*a, *l)).collect(),
    });
    &SET
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::parse_network;

    #[test]
    fn the_table_is_canonical() {
        assert!(V4.iter().all(|(a, l, _)| Prefix::new(*a, *l).addr == *a));
        assert!(V6.iter().all(|(a, l, _)| Prefix::new(*a, *l).addr == *a));
    }

    #[test]
    fn what_is_special() {
        let of = |t: &str| special(parse_network(t.as_bytes()).unwrap()).map(|(s, _)| s);
        assert_eq!(of("192.0.2.0/24"), Some(Special::Documentation));
        assert_eq!(of("2001:db8:10::/48"), Some(Special::Documentation));
        assert_eq!(of("::ffff:192.0.2.1"), Some(Special::Mapped));
        assert_eq!(of("224.0.0.1"), Some(Special::Multicast));
        for normal in
            ["10.0.0.0/8", "100.64.0.0/10", "192.168.1.0/24", "fd00::/8", "8.8.8.8", "2a00::/16", "::/0", "192.0.0.0/8"]
        {
            assert_eq!(of(normal), None, "{normal}");
        }
        assert_eq!(
            no_source().to_string(),
            "0.0.0.0, 127.0.0.0/8, 224.0.0.0/4, 255.255.255.255, ::/127, ::ffff:0.0.0.0/96, ff00::/8"
        );
    }
}
