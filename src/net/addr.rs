//! One address as a number, its family, and the prefixes that it can stand in.

use std::fmt::{self, Debug, Write as _};
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddrSet, Ranges};

/// IPv4 or IPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Family {
    /// IPv4, addresses of 32 bits.
    V4,
    /// IPv6, addresses of 128 bits.
    V6,
}

impl Family {
    /// Both families, IPv4 first.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

/// An address of one family as an unsigned number in host order.
///
/// Implemented for `u32` (IPv4) and `u128` (IPv6) and for nothing else.
pub trait Addr: Copy + Ord + Hash + Debug + Send + Sync + 'static {
    /// The family.
    const FAMILY: Family;
    /// The number of bits of an address: 32 or 128.
    const BITS: u8;
    /// The lowest address.
    const MIN: Self;
    /// The highest address.
    const MAX: Self;

    /// The address after this one, none after the highest.
    fn next(self) -> Option<Self>;
    /// The address before this one, none before the lowest.
    fn prev(self) -> Option<Self>;
    /// The network mask of a prefix length (0 to [`Self::BITS`]; a larger length is taken as the largest).
    fn mask(len: u8) -> Self;
    /// Bitwise and.
    #[must_use]
    fn and(self, other: Self) -> Self;
    /// Bitwise or.
    #[must_use]
    fn or(self, other: Self) -> Self;
    /// Bitwise not.
    #[must_use]
    fn not(self) -> Self;
    /// The number of trailing zero bits, 0 to [`Self::BITS`].
    fn trailing_zeros(self) -> u8;
    /// `last - first` of a span, widened.
    fn distance(first: Self, last: Self) -> u128;
    /// The bits of the address, left-aligned in 128 bits, so that both families can be walked by one trie.
    fn bits(self) -> u128;
    /// The address in std's type.
    fn ip(self) -> IpAddr;
    /// Appends the canonical text: dotted quad, or RFC 5952.
    fn write(self, out: &mut String);
    /// The ranges of this family in a set.
    fn of(set: &AddrSet) -> &Ranges<Self>;
    /// The ranges of this family in a set, to change them.
    fn of_mut(set: &mut AddrSet) -> &mut Ranges<Self>;
}

impl Addr for u32 {
    const FAMILY: Family = Family::V4;
    const BITS: u8 = 32;
    const MIN: Self = 0;
    const MAX: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn prev(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn mask(len: u8) -> Self {
        if len == 0 { 0 } else { Self::MAX << (32 - u32::from(len.min(32))) }
    }
    fn and(self, other: Self) -> Self {
        self & other
    }
    fn or(self, other: Self) -> Self {
        self | other
    }
    fn not(self) -> Self {
        !self
    }
    fn trailing_zeros(self) -> u8 {
        Self::trailing_zeros(self) as u8
    }
    fn distance(first: Self, last: Self) -> u128 {
        u128::from(last - first)
    }
    fn bits(self) -> u128 {
        u128::from(self) << 96
    }
    fn ip(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from(self))
    }
    fn write(self, out: &mut String) {
        let mut text = Text::<15>::new();
        for (i, octet) in self.to_be_bytes().into_iter().enumerate() {
            if i > 0 {
                text.push(b'.');
            }
            if octet >= 100 {
                text.push(b'0' + octet / 100);
            }
            if octet >= 10 {
                text.push(b'0' + octet / 10 % 10);
            }
            text.push(b'0' + octet % 10);
        }
        out.push_str(text.as_str());
    }
    fn of(set: &AddrSet) -> &Ranges<Self> {
        &set.v4
    }
    fn of_mut(set: &mut AddrSet) -> &mut Ranges<Self> {
        &mut set.v4
    }
}

impl Addr for u128 {
    const FAMILY: Family = Family::V6;
    const BITS: u8 = 128;
    const MIN: Self = 0;
    const MAX: Self = Self::MAX;

    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn prev(self) -> Option<Self> {
        self.checked_sub(1)
    }
    fn mask(len: u8) -> Self {
        if len == 0 { 0 } else { Self::MAX << (128 - u32::from(len.min(128))) }
    }
    fn and(self, other: Self) -> Self {
        self & other
    }
    fn or(self, other: Self) -> Self {
        self | other
    }
    fn not(self) -> Self {
        !self
    }
    fn trailing_zeros(self) -> u8 {
        Self::trailing_zeros(self) as u8
    }
    fn distance(first: Self, last: Self) -> u128 {
        last - first
    }
    fn bits(self) -> u128 {
        self
    }
    fn ip(self) -> IpAddr {
        IpAddr::V6(Ipv6Addr::from(self))
    }
    fn write(self, out: &mut String) {
        // std's Display costs several times as much; the property test in this file holds the two together.
        const HEX: &[u8; 16] = b"0123456789abcdef";
        if self >> 32 == 0xffff {
            // RFC 5952 section 5: IPv4-mapped addresses are written with a dotted quad.
            out.push_str("::ffff:");
            Addr::write(self as u32, out);
            return;
        }
        let mut text = Text::<39>::new();
        let groups: [u16; 8] = std::array::from_fn(|i| (self >> (112 - 16 * i)) as u16);
        // The longest run of zero groups, the first of several, if it is longer than one (RFC 5952 section 4.2).
        let (mut gap, mut gap_len, mut i) = (8, 1, 0);
        while i < 8 {
            let run = groups[i..].iter().take_while(|g| **g == 0).count();
            if run > gap_len {
                (gap, gap_len) = (i, run);
            }
            i += run.max(1);
        }
        let mut i = 0;
        while i < 8 {
            if i == gap {
                text.push(b':');
                text.push(b':');
                i += gap_len;
                continue;
            }
            if i > 0 && i != gap + gap_len {
                text.push(b':');
            }
            let group = groups[i];
            let digits = (16 - group.leading_zeros()).div_ceil(4).max(1);
            for d in (0..digits).rev() {
                text.push(HEX[usize::from(group >> (4 * d) & 15)]);
            }
            i += 1;
        }
        out.push_str(text.as_str());
    }
    fn of(set: &AddrSet) -> &Ranges<Self> {
        &set.v6
    }
    fn of_mut(set: &mut AddrSet) -> &mut Ranges<Self> {
        &mut set.v6
    }
}

/// The text of one address while it is made: one push to the output costs less than one for each digit.
struct Text<const MOST: usize> {
    bytes: [u8; MOST],
    len: usize,
}

impl<const MOST: usize> Text<MOST> {
    fn new() -> Self {
        Self { bytes: [0; MOST], len: 0 }
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    fn as_str(&self) -> &str {
        // Only ASCII is pushed.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

/// A network in prefix notation: the host bits of `addr` are zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Prefix<A> {
    /// The lowest address of the network.
    pub addr: A,
    /// The prefix length in bits, 0 to 32 or 128.
    pub len: u8,
}

impl<A: Addr> Prefix<A> {
    /// The prefix of this length that holds `addr` (host bits are cleared).
    pub fn new(addr: A, len: u8) -> Self {
        Self { addr: addr.and(A::mask(len)), len }
    }

    /// The highest address of the network.
    pub fn last(self) -> A {
        self.addr.or(A::mask(self.len).not())
    }

    /// Whether this prefix holds the whole of another.
    pub fn contains(self, other: Self) -> bool {
        self.len <= other.len && other.addr.and(A::mask(self.len)) == self.addr
    }

    /// Appends the canonical text; a single address is written without its length.
    pub fn write(self, out: &mut String) {
        self.addr.write(out);
        if self.len < A::BITS {
            out.push('/');
            write_u8(self.len, out);
        }
    }

    /// Appends the canonical text, always with the length, as iptables prints it.
    pub fn write_full(self, out: &mut String) {
        self.addr.write(out);
        out.push('/');
        write_u8(self.len, out);
    }

    /// The prefix as `ipnet`'s type.
    pub fn to_ipnet(self) -> ipnet::IpNet {
        // The length is at most the family's, so the fallback (the single address) is never taken.
        ipnet::IpNet::new(self.addr.ip(), self.len).unwrap_or_else(|_| self.addr.ip().into())
    }
}

fn write_u8(n: u8, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{n}");
}

impl<A: Addr> fmt::Display for Prefix<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.write(&mut text);
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Addresses with runs of zero groups, which is where RFC 5952 is interesting.
    fn v6() -> impl Strategy<Value = u128> {
        prop_oneof![
            any::<u128>(),
            proptest::collection::vec(prop_oneof![Just(0u16), Just(1), any::<u16>()], 8)
                .prop_map(|g| g.iter().fold(0u128, |n, g| n << 16 | u128::from(*g))),
            any::<u32>().prop_map(u128::from),
            any::<u32>().prop_map(|n| 0xffff << 32 | u128::from(n)),
        ]
    }

    fn text<A: Addr>(a: A) -> String {
        let mut out = String::new();
        a.write(&mut out);
        out
    }

    proptest! {
        #[test]
        fn v4_text_is_std_text(n: u32) {
            prop_assert_eq!(text(n), Ipv4Addr::from(n).to_string());
        }

        #[test]
        fn v6_text_parses_back_and_is_std_text(n in v6()) {
            prop_assert_eq!(text(n).parse::<Ipv6Addr>().unwrap(), Ipv6Addr::from(n));
            // std follows RFC 5952 but for the deprecated IPv4-compatible form, which it also writes in hex today.
            prop_assert_eq!(text(n), Ipv6Addr::from(n).to_string());
        }

        #[test]
        fn a_prefix_is_what_ipnet_makes_of_it(n: u128, len in 0u8..=128) {
            let p = Prefix::new(n, len);
            let net = p.to_ipnet();
            prop_assert_eq!(net.network(), p.addr.ip());
            prop_assert_eq!(net.broadcast(), p.last().ip());
        }
    }
}
