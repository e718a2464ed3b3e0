//! Addresses as Windows takes and prints them: what is written is canonical, what is read may be written otherwise.

use crate::net::{Addr, AddrSet, Network, ParseError, Prefix, Ranges, Span, parse_address, parse_network};

/// The lowest address that a rule can name: `::` and `::1` cannot be the end of a range (MS-FASP 2.2.34), and no connection
/// from outside comes from them.
const LOWEST_V6: u128 = 2;

/// The addresses of one family that a rule can name.
pub(super) trait Nameable: Addr {
    /// All of them, which is all from which a connection can come.
    fn nameable() -> Ranges<Self>;
}

impl Nameable for u32 {
    fn nameable() -> Ranges<Self> {
        Ranges::all()
    }
}

impl Nameable for u128 {
    fn nameable() -> Ranges<Self> {
        Ranges::from_spans(vec![Span { first: LOWEST_V6, last: u128::MAX }])
    }
}

/// Appends the one entry that covers a span: an address, a prefix or a range. A prefix of length 0 is none to Windows, so
/// the whole space is a range; a single address stands bare, because Windows bounds lengths below the full one.
pub(super) fn write<A: Addr>(span: Span<A>, out: &mut String) {
    let mut prefixes = span.prefixes();
    match (prefixes.next(), prefixes.next()) {
        (Some(prefix), None) if prefix.len > 0 => prefix.write(out),
        _ => {
            span.first.write(out);
            out.push('-');
            span.last.write(out);
        }
    }
}

/// What one entry of a rule's address list means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Entry {
    /// These addresses.
    Network(Network),
    /// Every address.
    Any,
    /// A name that Windows resolves, such as `LocalSubnet`, or something that is not understood.
    Unknown(String),
}

/// Reads an entry: an address, a range, a prefix, or an IPv4 network with a mask, as Windows prints prefixes. Host bits are
/// cleared, because versions differ in whether they keep them.
pub(super) fn read(text: &str) -> Entry {
    match parse_network(text.as_bytes()) {
        Ok(network) => Entry::Network(network),
        Err(ParseError::HostBits { masked }) => Entry::Network(masked),
        Err(ParseError::NetMask) => masked(text).map_or_else(|| Entry::Unknown(not_understood(text)), Entry::Network),
        Err(_) if text.eq_ignore_ascii_case("any") || text == "*" => Entry::Any,
        Err(_) if !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Entry::Unknown(format!("it depends on what {text} stands for on the host"))
        }
        Err(_) => Entry::Unknown(not_understood(text)),
    }
}

fn not_understood(text: &str) -> String {
    format!("the address {text:?} is not understood")
}

/// `10.10.0.0/255.255.0.0`.
fn masked(text: &str) -> Option<Network> {
    let (address, mask) = text.split_once('/')?;
    let (Network::V4(address), Network::V4(mask)) =
        (parse_address(address.as_bytes()).ok()?, parse_address(mask.as_bytes()).ok()?)
    else {
        return None;
    };
    let len = mask.first.leading_ones() as u8;
    (u32::mask(len) == mask.first).then(|| Network::V4(Prefix::new(address.first, len).into()))
}

/// A whole list as the addresses that are known, whether it is every address, and the reasons for what is not known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct List {
    /// The addresses that the entries name.
    pub(super) known: AddrSet,
    /// Whether an entry is every address.
    pub(super) any: bool,
    /// Why the other entries are not known.
    pub(super) unknown: Vec<String>,
}

/// Reads a list of entries. A list without entries is every address, as Windows has it.
pub(super) fn read_list<'a>(entries: impl IntoIterator<Item = &'a str>) -> List {
    let mut list = List::default();
    let mut networks = Vec::new();
    let mut empty = true;
    for text in entries {
        empty = false;
        match read(text) {
            Entry::Network(network) => networks.push(network),
            Entry::Any => list.any = true,
            Entry::Unknown(because) => list.unknown.push(because),
        }
    }
    list.known = networks.into_iter().collect();
    list.any |= empty;
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text<A: Addr>(span: Span<A>) -> String {
        let mut out = String::new();
        write(span, &mut out);
        out
    }

    #[test]
    fn what_is_written() {
        let of = |t: &str| {
            let set: AddrSet = t.parse().unwrap();
            set.v4.spans().iter().map(|s| text(*s)).chain(set.v6.spans().iter().map(|s| text(*s))).collect::<String>()
        };
        assert_eq!(of("0.0.0.0/0"), "0.0.0.0-255.255.255.255");
        assert_eq!(of("192.0.2.7"), "192.0.2.7");
        assert_eq!(of("192.0.2.0/25"), "192.0.2.0/25");
        assert_eq!(of("192.0.2.0-192.0.2.2"), "192.0.2.0-192.0.2.2");
        assert_eq!(of("2001:db8::/32"), "2001:db8::/32");
        assert_eq!(text(u128::nameable().spans()[0]), "::2-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    }

    #[test]
    fn what_windows_makes_of_it_is_read() {
        let set = |t: &str| match read(t) {
            Entry::Network(n) => n.to_string(),
            other => format!("{other:?}"),
        };
        assert_eq!(set("10.10.0.0/255.255.0.0"), "10.10.0.0/16");
        assert_eq!(set("10.10.0.9/255.255.0.0"), "10.10.0.0/16");
        assert_eq!(set("10.10.0.9/16"), "10.10.0.0/16");
        assert_eq!(set("1.2.3.4/255.255.255.255"), "1.2.3.4");
        assert_eq!(set("0.0.0.0/0.0.0.0"), "0.0.0.0/0");
        assert_eq!(set("2001:DB8::1/48"), "2001:db8::/48");
        assert_eq!(set("192.0.2.1-192.0.2.9"), "192.0.2.1-192.0.2.9");
        assert_eq!(read("Any"), Entry::Any);
        for odd in ["10.0.0.0/255.0.255.0", "LocalSubnet", "", "010.0.0.1", "fe80::1%3", "a,b", "10.0.0.9-10.0.0.1"] {
            assert!(matches!(read(odd), Entry::Unknown(_)), "{odd}");
        }
    }

    #[test]
    fn an_empty_list_is_every_address() {
        assert!(read_list([]).any);
        let list = read_list(["10.0.0.0/8", "LocalSubnet"]);
        assert!(!list.any && list.unknown.len() == 1 && list.known.to_string() == "10.0.0.0/8");
    }
}
