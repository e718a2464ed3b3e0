//! Networks as they are written: one text at a time, with what is wrong or unwise about it.

use std::ops::Range;

use crate::diagnostic::{Code, FileId, Problem, codes};
use crate::net::{Network, ParseError, Span, Special, parse_network, special};
use crate::policy::Line;

use super::sink::Sink;
use super::words::quoted;

/// Networks with the lines that they stand on. Whose they are is filled in when they are noted.
#[derive(Default, Debug)]
pub(super) struct Lines {
    pub(super) v4: Vec<Line<u32>>,
    pub(super) v6: Vec<Line<u128>>,
}

impl Lines {
    pub(super) fn push(&mut self, network: Network, line: u32) {
        match network {
            Network::V4(span) => self.v4.push(Line { span, line, source: 0 }),
            Network::V6(span) => self.v6.push(Line { span, line, source: 0 }),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

/// What a network is named for, which decides what is said about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Use {
    /// To be trusted.
    Trust,
    /// For anything else.
    Other,
}

/// Reads one network; reports what is wrong with it and, if it is to be trusted, what is unwise.
pub(super) fn network(text: &[u8], usage: Use, file: FileId, span: Range<usize>, sink: &mut Sink) -> Option<Network> {
    let network = match parse_network(text) {
        Ok(network) => network,
        Err(e) => {
            sink.report(code(&e), file, span, |p| explain(p, text, &e));
            return None;
        }
    };
    // The two blocks from which no connection comes, by their first bits, so that a million ordinary ones pass quickly.
    let suspect = match network {
        Network::V4(s) => s.first >> 28 == 0xe,
        Network::V6(s) => s.first >> 120 == 0xff || s.first >> 32 == 0xffff,
    };
    if suspect && let Some((Special::Multicast | Special::Mapped, _)) = special(network) {
        return refuse(network, file, span, sink);
    }
    if usage == Use::Trust {
        unwise(network, file, span, sink);
    }
    Some(network)
}

/// Reports a network from which no connection comes.
fn refuse(network: Network, file: FileId, span: Range<usize>, sink: &mut Sink) -> Option<Network> {
    match network {
        Network::V6(s) if s.first >> 32 == 0xffff => {
            let plain = Network::V4(Span { first: s.first as u32, last: s.last as u32 });
            sink.report(&codes::IPV4_MAPPED, file, span, |p| {
                p.say(format!("no connection comes from the IPv4-mapped network {network}"))
                    .help(format!("write the IPv4 network `{plain}`"))
                    .fix(plain.to_string())
            });
        }
        _ => sink.report(&codes::MULTICAST, file, span, |p| {
            p.say(format!("no connection comes from the multicast network {network}")).help("take it away")
        }),
    }
    None
}

/// Reports what an administrator should look at before a network is trusted.
fn unwise(network: Network, file: FileId, span: Range<usize>, sink: &mut Sink) {
    let size = match network {
        Network::V4(s) => 32 - (u128::from(s.last - s.first) + 1).ilog2(),
        Network::V6(s) if s.last - s.first == u128::MAX => 0,
        Network::V6(s) => 128 - (s.last - s.first + 1).ilog2(),
    };
    let (widest, family) = match network {
        Network::V4(_) => (8, "IPv4"),
        Network::V6(_) => (16, "IPv6"),
    };
    if size == 0 {
        sink.report(&codes::OPEN_TO_WORLD, file, span, |p| {
            p.say(format!("`{network}` trusts every {family} address: the port is open to the world"))
                .help("name the networks that your users come from")
        });
        return;
    }
    let holds = match network {
        Network::V4(s) => u128::from(s.last - s.first) >= 1 << 24,
        Network::V6(s) => s.last - s.first >= 1 << 112,
    };
    if holds {
        sink.report(&codes::WIDE_NETWORK, file, span, |p| {
            p.say(format!("`{network}` is wider than a /{widest}"))
                .help("name the networks that your users come from, or allow `wide-network` under `[check]`")
        });
        return;
    }
    if let Some((kind, block)) = special(network) {
        let code: &'static Code = match kind {
            Special::Documentation => &codes::DOCUMENTATION_NETWORK,
            Special::LinkLocal => &codes::LINK_LOCAL_NETWORK,
            _ => &codes::RESERVED_NETWORK,
        };
        sink.report(code, file, span.clone(), |p| {
            p.say(format!("`{network}` lies in {} ({block})", kind.phrase()))
                .help("name an address from which your users really connect")
        });
    }
    if let Network::V6(s) = network
        && s.first == s.last
        && is_random(s.first)
    {
        let home = Network::V6(Span { first: s.first >> 64 << 64, last: s.first | u128::from(u64::MAX) });
        sink.report(&codes::PRIVACY_ADDRESS, file, span, |p| {
            p.say(format!("`{network}` looks like a privacy address, which its host soon gives up"))
                .help(format!("did you mean its /64, `{home}`?"))
                .fix(home.to_string())
        });
    }
}

/// Whether the second half of a global IPv6 address looks random (RFC 8981): not counted up by hand, not made from a MAC
/// address (RFC 4291 appendix A), not an IPv4 address or a word in disguise.
fn is_random(address: u128) -> bool {
    let id = address as u64;
    let groups: [u16; 4] = std::array::from_fn(|i| (id >> (48 - 16 * i)) as u16);
    let global = address >> 125 == 1;
    let from_mac = id >> 24 & 0xffff == 0xfffe;
    let digits = (0..16).map(|i| id >> (4 * i) & 15);
    let decimal = digits.clone().all(|d| d < 10);
    let kinds = (0..16).filter(|k| digits.clone().any(|d| d == *k)).count();
    global && !from_mac && !decimal && kinds >= 7 && groups.iter().filter(|g| **g >= 0x100).count() >= 3
}

/// The code of what is wrong with a text.
fn code(e: &ParseError) -> &'static Code {
    match e {
        ParseError::HostName => &codes::HOST_NAME,
        ParseError::LeadingZero => &codes::LEADING_ZERO,
        ParseError::ZoneId => &codes::ZONE_ID,
        ParseError::PrefixLength { .. } | ParseError::NetMask => &codes::PREFIX_LENGTH,
        ParseError::HostBits { .. } => &codes::HOST_BITS,
        ParseError::Backwards { .. } => &codes::RANGE_BACKWARDS,
        ParseError::Empty
        | ParseError::NotAnAddress
        | ParseError::OctetTooLarge
        | ParseError::OctetCount
        | ParseError::MixedRange => &codes::NOT_AN_ADDRESS,
    }
}

/// What is wrong with a text, and what to write.
fn explain(p: Problem, text: &[u8], e: &ParseError) -> Problem {
    let shown = String::from_utf8_lossy(&text[..text.len().min(400)]);
    let p = p.say(format!("{}: {e}", quoted(&shown)));
    match e {
        ParseError::HostBits { masked } => {
            let address = shown.split('/').next().unwrap_or_default();
            p.help(format!("did you mean `{masked}`, or the single address `{address}`?")).fix(masked.to_string())
        }
        ParseError::Backwards { .. } => {
            let swapped = shown.split_once('-').map(|(a, b)| format!("{b}-{a}")).unwrap_or_default();
            p.help(format!("did you mean `{swapped}`?")).fix(swapped)
        }
        ParseError::NetMask => match netmask(&shown) {
            Some(fix) => p.help(format!("write `{fix}`")).fix(fix),
            None => p.help("write the number of the mask's leading one bits"),
        },
        ParseError::PrefixLength { max } => p.help(format!("write a number from 0 to {max}, without leading zeros")),
        ParseError::LeadingZero => p.help("write each octet in decimal, without leading zeros"),
        ParseError::ZoneId => p.help("leave out what follows the `%`; `via` ties an entry to an interface"),
        ParseError::HostName => p.help("write the addresses that the name stands for, or keep them in a list file"),
        ParseError::MixedRange => p.help("write a range as `203.0.113.16-203.0.113.31`"),
        _ => {
            let trimmed = shown.trim();
            if trimmed.len() < shown.len() && parse_network(trimmed.as_bytes()).is_ok() {
                let trimmed = trimmed.to_owned();
                return p.help(format!("write `{trimmed}`, without blanks")).fix(trimmed);
            }
            if shown.trim().contains([' ', ',', '\t']) {
                return p.help("write one network in each text or line");
            }
            p.help("write an address, a prefix such as `198.51.100.0/24`, or a range `203.0.113.16-203.0.113.31`")
        }
    }
}

/// The prefix that an address with a network mask stands for, if its mask is one.
fn netmask(text: &str) -> Option<String> {
    let (address, mask) = text.split_once('/')?;
    let Ok(Network::V4(mask)) = parse_network(mask.as_bytes()) else { return None };
    let len = mask.first.leading_ones();
    if mask.first.trailing_zeros() + len != 32 {
        return None;
    }
    match parse_network(format!("{address}/{len}").as_bytes()) {
        Ok(network) => Some(network.to_string()),
        Err(ParseError::HostBits { masked }) => Some(masked.to_string()),
        Err(_) => None,
    }
}

/// The bytes of a line at which a network is written, for a message about it; the whole line if it is written in another
/// way (such as with escapes).
pub(super) fn locate(line: &[u8], start: usize, network: Network) -> Range<usize> {
    let part = |b: &u8| b.is_ascii_hexdigit() || b".:/-".contains(b);
    let mut at = 0;
    while at < line.len() {
        let len = line[at..].iter().take_while(|b| part(b)).count();
        if len > 0 && parse_network(&line[at..at + len]) == Ok(network) {
            return start + at..start + at + len;
        }
        at += len.max(1);
    }
    start..start + line.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_halves_are_recognised() {
        let random = |t: &str| is_random(t.parse::<std::net::Ipv6Addr>().unwrap().into());
        assert!(random("2001:db8:1:2:8d3f:a1c2:5be7:90f4"));
        assert!(random("2a02:8109:9a40:1b2c:d5f3:7c44:9e01:ab3e"));
        for steady in [
            "2001:db8::1",
            "2001:db8::dead:beef",
            "2001:db8:1:2:216:3eff:fe12:3456", // from a MAC address
            "2001:db8:1:2:192:168:100:200",
            "fd00::8d3f:a1c2:5be7:90f4", // not global
            "2001:db8:1:2:3:4:5:6",
        ] {
            assert!(!random(steady), "{steady}");
        }
    }

    #[test]
    fn masks_become_lengths() {
        assert_eq!(netmask("10.0.0.0/255.0.0.0").as_deref(), Some("10.0.0.0/8"));
        assert_eq!(netmask("10.0.0.1/255.255.255.255").as_deref(), Some("10.0.0.1"));
        assert_eq!(netmask("10.1.0.0/0.255.255.255"), None);
    }

    #[test]
    fn a_network_is_found_in_its_line() {
        let line = br#"networks = ["10.0.0.0/8", "2001:db8::/32"] # "10.0.0.0/8""#;
        let at = |t: &str| locate(line, 100, parse_network(t.as_bytes()).unwrap());
        assert_eq!(at("10.0.0.0/8"), 113..123);
        assert_eq!(at("2001:db8::/32"), 127..140);
        assert_eq!(at("10.0.0.0/9"), 100..100 + line.len());
    }
}
