//! Strict text to addresses: what is not canonical in a way that could mean something else is refused, and it is said why.
//!
//! `010.0.0.1` is 10.0.0.1 to some parsers and 8.0.0.1 to nft, iptables and .NET; `10.1` is 10.0.0.1 or 10.1.0.0. Neither
//! passes here.

use thiserror::Error;

use super::{Addr, AddrSet, Prefix, Span};

/// One address, prefix or range, of either family.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Network {
    /// An IPv4 span.
    V4(Span<u32>),
    /// An IPv6 span.
    V6(Span<u128>),
}

impl std::str::FromStr for AddrSet {
    type Err = ParseError;
    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse_network(text.as_bytes()).map(Self::from)
    }
}

impl std::fmt::Display for Network {
    /// A prefix where it is one, else `first-last`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        fn show<A: Addr>(s: Span<A>, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let mut prefixes = s.prefixes();
            match (prefixes.next(), prefixes.next()) {
                (Some(p), None) => write!(f, "{p}"),
                _ => write!(f, "{}-{}", s.first.ip(), s.last.ip()),
            }
        }
        match self {
            Self::V4(s) => show(*s, f),
            Self::V6(s) => show(*s, f),
        }
    }
}

/// Why a text is no address, prefix or range.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ParseError {
    /// The text is empty.
    #[error("nothing is written here")]
    Empty,
    /// Not an address at all.
    #[error("this is no IP address, prefix or range")]
    NotAnAddress,
    /// A name instead of an address.
    #[error("this is a host name, and names change what they mean; only addresses decide here")]
    HostName,
    /// An octet such as `010`.
    #[error("an octet with a leading zero is decimal to some programs and octal to others")]
    LeadingZero,
    /// An octet over 255.
    #[error("an octet is at most 255")]
    OctetTooLarge,
    /// Fewer or more than four octets.
    #[error("an IPv4 address has four octets")]
    OctetCount,
    /// An address with a zone, such as `fe80::1%eth0`.
    #[error("a zone id has no meaning in a packet")]
    ZoneId,
    /// A prefix length that is no number, has a leading zero or is too long.
    #[error("the prefix length must be a number from 0 to {max}")]
    PrefixLength {
        /// The family's largest length.
        max: u8,
    },
    /// A dotted network mask in place of a length.
    #[error("a network mask is written as a prefix length here")]
    NetMask,
    /// Bits set behind the prefix.
    #[error("the address has bits set behind the prefix length; the network would be {masked}")]
    HostBits {
        /// The network with those bits cleared.
        masked: Network,
    },
    /// A range whose end is below its start.
    #[error("the range runs backwards")]
    Backwards {
        /// The range the other way round.
        swapped: Network,
    },
    /// A range from one family to the other, or with a prefix as an end.
    #[error("both ends of a range must be single addresses of one family")]
    MixedRange,
}

/// Parses one address, such as `203.0.113.7` or `2001:db8::1`.
pub fn parse_address(text: &[u8]) -> Result<Network, ParseError> {
    if text.is_empty() {
        return Err(ParseError::Empty);
    }
    // The first byte that is no digit of either family tells them apart.
    let v6_like = text.iter().find(|b| HEX[usize::from(**b)] == 255) == Some(&b':');
    if v6_like && let Ok(a) = v6(text) {
        return Ok(Network::V6(Span { first: a, last: a }));
    }
    if text.contains(&b'%') {
        return Err(ParseError::ZoneId);
    }
    if v6_like || text.contains(&b':') {
        return v6(text).map(|a| Network::V6(Span { first: a, last: a }));
    }
    if !text[0].is_ascii_digit() {
        let name = text.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b));
        return Err(if name { ParseError::HostName } else { ParseError::NotAnAddress });
    }
    let a = v4(text)?;
    Ok(Network::V4(Span { first: a, last: a }))
}

/// Parses an address, a prefix or a range `first-last`, without any blank around or inside.
///
/// # Errors
/// Everything that is not exactly one of these, each with its reason.
pub fn parse_network(text: &[u8]) -> Result<Network, ParseError> {
    // Fast ways first: a list has a million of these.
    if memchr::memchr2(b'/', b'-', text).is_none() {
        return parse_address(text);
    }
    if let Some(slash) = memchr::memchr(b'/', text) {
        let (addr, len) = (&text[..slash], &text[slash + 1..]);
        return match parse_address(addr)? {
            Network::V4(s) => prefix(s.first, len).map(Network::V4).map_err(|e| mask_error(e, Network::V4)),
            Network::V6(s) => prefix(s.first, len).map(Network::V6).map_err(|e| mask_error(e, Network::V6)),
        };
    }
    if let Some(dash) = text.iter().position(|b| *b == b'-') {
        let (first, last) = (&text[..dash], &text[dash + 1..]);
        if !first.first().is_some_and(|b| b.is_ascii_hexdigit() || *b == b':')
            || !first.iter().any(|b| b".:".contains(b))
        {
            return parse_address(text);
        }
        return match (parse_address(first)?, parse_address(last)?) {
            (Network::V4(a), Network::V4(b)) => range(a.first, b.first, Network::V4),
            (Network::V6(a), Network::V6(b)) => range(a.first, b.first, Network::V6),
            _ => Err(ParseError::MixedRange),
        };
    }
    parse_address(text)
}

/// A prefix whose length was fine, or the span it would be with the host bits cleared.
enum PrefixFault<A> {
    HostBits(Span<A>),
    Other(ParseError),
}

fn mask_error<A>(fault: PrefixFault<A>, network: fn(Span<A>) -> Network) -> ParseError {
    match fault {
        PrefixFault::HostBits(span) => ParseError::HostBits { masked: network(span) },
        PrefixFault::Other(e) => e,
    }
}

fn prefix<A: Addr>(addr: A, len: &[u8]) -> Result<Span<A>, PrefixFault<A>> {
    let fault = || {
        PrefixFault::Other(if len.contains(&b'-') {
            ParseError::MixedRange
        } else if len.iter().any(|b| !b.is_ascii_digit() && *b != b'.') {
            ParseError::NotAnAddress
        } else if len.contains(&b'.') {
            ParseError::NetMask
        } else {
            ParseError::PrefixLength { max: A::BITS }
        })
    };
    let n = match len {
        [a @ b'0'..=b'9'] => u16::from(a - b'0'),
        [a @ b'1'..=b'9', b @ b'0'..=b'9'] => u16::from(a - b'0') * 10 + u16::from(b - b'0'),
        [b'1', b @ b'0'..=b'9', c @ b'0'..=b'9'] => 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'),
        _ => return Err(fault()),
    };
    if n > u16::from(A::BITS) {
        return Err(fault());
    }
    let p = Prefix::new(addr, n as u8);
    if p.addr == addr { Ok(p.into()) } else { Err(PrefixFault::HostBits(p.into())) }
}

fn range<A: Addr>(first: A, last: A, network: fn(Span<A>) -> Network) -> Result<Network, ParseError> {
    let span = network(Span::new(first, last));
    if first > last { Err(ParseError::Backwards { swapped: span }) } else { Ok(span) }
}

fn v4(text: &[u8]) -> Result<u32, ParseError> {
    let (mut addr, mut octet, mut digits, mut dots) = (0u32, 0u32, 0, 0);
    for b in text {
        match b {
            b'0'..=b'9' => {
                if digits > 0 && octet == 0 {
                    return Err(ParseError::LeadingZero);
                }
                octet = octet * 10 + u32::from(b - b'0');
                digits += 1;
                if octet > 255 {
                    return Err(ParseError::OctetTooLarge);
                }
            }
            b'.' if digits > 0 => {
                addr = addr << 8 | octet;
                (octet, digits) = (0, 0);
                dots += 1;
                if dots > 3 {
                    return Err(ParseError::OctetCount);
                }
            }
            b'.' => return Err(ParseError::OctetCount),
            _ if text.iter().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b))
                && text.iter().any(u8::is_ascii_alphabetic) =>
            {
                return Err(ParseError::HostName);
            }
            _ => return Err(ParseError::NotAnAddress),
        }
    }
    if dots < 3 || digits == 0 {
        return Err(ParseError::OctetCount);
    }
    Ok(addr << 8 | octet)
}

/// The value of each byte as a hexadecimal digit; 255 for those that are none.
const HEX: [u8; 256] = {
    let mut table = [255; 256];
    let mut digit = 0;
    while digit < 16 {
        table[b"0123456789abcdef"[digit] as usize] = digit as u8;
        table[b"0123456789ABCDEF"[digit] as usize] = digit as u8;
        digit += 1;
    }
    table
};

fn v6(text: &[u8]) -> Result<u128, ParseError> {
    let bad = Err(ParseError::NotAnAddress);
    let (mut groups, mut count, mut gap) = ([0u16; 8], 0, None);
    let mut i = 0;
    if text.starts_with(b"::") {
        gap = Some(0);
        i = 2;
    }
    while i < text.len() {
        let (mut group, start) = (0u16, i);
        while let Some(b) = text.get(i) {
            let digit = HEX[usize::from(*b)];
            if digit == 255 {
                break;
            }
            group = group << 4 | u16::from(digit);
            i += 1;
        }
        if i - start > 4 || count == 8 {
            return bad;
        }
        if text.get(i) == Some(&b'.') {
            // An embedded IPv4 address, which must be the end (RFC 4291 section 2.2).
            let end = v4(&text[start..])?;
            if count == 7 {
                return bad;
            }
            groups[count] = (end >> 16) as u16;
            (group, count, i) = (end as u16, count + 1, text.len());
        } else if i == start {
            return bad;
        }
        groups[count] = group;
        count += 1;
        match &text[i..] {
            [] => break,
            [b':', b':', ..] if gap.is_none() => {
                gap = Some(count);
                i += 2;
            }
            [b':', rest @ ..] if !rest.is_empty() && rest[0] != b':' => i += 1,
            _ => return bad,
        }
    }
    match gap {
        None if count == 8 => {}
        // `::` stands for at least one group; what follows it stands at the end.
        Some(gap) if count < 8 => {
            groups.copy_within(gap..count, 8 - (count - gap));
            groups[gap..8 - (count - gap)].fill(0);
        }
        _ => return bad,
    }
    Ok(groups.iter().fold(0, |n, g| n << 16 | u128::from(*g)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn ok(text: &str) -> String {
        parse_network(text.as_bytes()).unwrap().to_string()
    }

    fn err(text: &str) -> ParseError {
        parse_network(text.as_bytes()).unwrap_err()
    }

    #[test]
    fn what_is_taken() {
        assert_eq!(ok("203.0.113.7"), "203.0.113.7");
        assert_eq!(ok("203.0.113.16-203.0.113.31"), "203.0.113.16/28");
        assert_eq!(ok("203.0.113.16-203.0.113.32"), "203.0.113.16-203.0.113.32");
        assert_eq!(ok("0.0.0.0/0"), "0.0.0.0/0");
        assert_eq!(ok("::/0"), "::/0");
        assert_eq!(ok("2001:DB8:0::/48"), "2001:db8::/48");
        assert_eq!(ok("64:ff9b::192.0.2.1"), "64:ff9b::c000:201");
        assert_eq!(ok("2001:db8::1-2001:db8::2"), "2001:db8::1-2001:db8::2");
        assert_eq!(ok("::2-2001:db8::"), "::2-2001:db8::");
    }

    #[test]
    fn what_is_refused_and_why() {
        assert_eq!(err(""), ParseError::Empty);
        assert_eq!(err("010.0.0.1"), ParseError::LeadingZero);
        assert_eq!(err("10.1"), ParseError::OctetCount);
        assert_eq!(err("10.0.0.256"), ParseError::OctetTooLarge);
        assert_eq!(err("10.0.0.0/08"), ParseError::PrefixLength { max: 32 });
        assert_eq!(err("10.0.0.0/33"), ParseError::PrefixLength { max: 32 });
        assert_eq!(err("10.0.0.0/"), ParseError::PrefixLength { max: 32 });
        assert_eq!(err("::/129"), ParseError::PrefixLength { max: 128 });
        assert_eq!(err("10.0.0.0/255.0.0.0"), ParseError::NetMask);
        assert_eq!(err("fe80::1%eth0"), ParseError::ZoneId);
        assert_eq!(err("fe80::1%eth0/64"), ParseError::ZoneId);
        assert_eq!(err("mail.example.org"), ParseError::HostName);
        assert_eq!(err("my-host.example.org"), ParseError::HostName);
        assert_eq!(err("3com.example"), ParseError::HostName);
        assert!(matches!(err("10.0.0.1/8"), ParseError::HostBits { masked } if masked.to_string() == "10.0.0.0/8"));
        assert!(matches!(err("10.0.0.9-10.0.0.1"), ParseError::Backwards { .. }));
        assert_eq!(err("10.0.0.1-::1"), ParseError::MixedRange);
        assert_eq!(err("10.0.0.0/24-10.0.1.0/24"), ParseError::MixedRange);
        assert_eq!(err("10.0.0.0/24 10.0.1.0/24"), ParseError::NotAnAddress);
        for text in [
            "1:2",
            ":::",
            "1::2::3",
            ":1",
            "1:",
            "12345::",
            "1:2:3:4:5:6:7:8:9",
            "::g",
            "1:2:3:4:5:6:7::8",
            "10.0.0.1 ",
            "十",
        ] {
            assert!(parse_network(text.as_bytes()).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn std_and_ours_agree_on_ipv6(text in "[0-9a-f:]{0,24}|([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}|([0-9a-f]{0,4}:){1,7}[0-9.]{0,9}") {
            let ours = parse_address(text.as_bytes()).ok().filter(|n| matches!(n, Network::V6(_)));
            let std = text.parse::<Ipv6Addr>().ok().map(u128::from);
            prop_assert_eq!(ours, std.map(|a| Network::V6(Span { first: a, last: a })));
        }

        #[test]
        fn std_and_ours_agree_on_ipv4(text in "[0-9]{1,3}(\\.[0-9]{1,3}){2,4}") {
            let ours = parse_address(text.as_bytes()).ok();
            let std = text.parse::<Ipv4Addr>().ok().map(u32::from);
            prop_assert_eq!(ours, std.map(|a| Network::V4(Span { first: a, last: a })));
        }

        #[test]
        fn what_is_printed_is_read(a: u128, b: u128) {
            let n = Network::V6(Span::new(a, b));
            prop_assert_eq!(parse_network(n.to_string().as_bytes()), Ok(n));
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse_network(&bytes);
        }
    }
}
