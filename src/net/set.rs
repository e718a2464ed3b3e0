//! A set of addresses of both families.

use std::fmt;

use super::{Addr, Family, Network, Ranges, Span};

/// A set of addresses, IPv4 and IPv6.
///
/// ```
/// use harden993::net::{AddrSet, parse_network};
/// let networks = ["198.51.100.0/25", "198.51.100.128/25", "2001:db8::1"];
/// let office: AddrSet = networks.iter().map(|t| parse_network(t.as_bytes()).unwrap()).collect();
/// assert_eq!(office.to_string(), "198.51.100.0/24, 2001:db8::1");
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct AddrSet {
    /// The IPv4 part.
    pub v4: Ranges<u32>,
    /// The IPv6 part.
    pub v6: Ranges<u128>,
}

impl AddrSet {
    /// The empty set.
    pub const fn new() -> Self {
        Self { v4: Ranges::new(), v6: Ranges::new() }
    }

    /// Every address of both families.
    pub fn all() -> Self {
        Self { v4: Ranges::all(), v6: Ranges::all() }
    }

    /// Every address of one family.
    pub fn family(family: Family) -> Self {
        match family {
            Family::V4 => Self { v4: Ranges::all(), v6: Ranges::new() },
            Family::V6 => Self { v4: Ranges::new(), v6: Ranges::all() },
        }
    }

    /// The ranges of one family.
    pub fn ranges<A: Addr>(&self) -> &Ranges<A> {
        A::of(self)
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Whether the address is in the set.
    pub fn contains(&self, ip: std::net::IpAddr) -> bool {
        match ip {
            std::net::IpAddr::V4(a) => self.v4.contains(a.into()),
            std::net::IpAddr::V6(a) => self.v6.contains(a.into()),
        }
    }

    /// The addresses that are in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// The addresses that are in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersect(&other.v4), v6: self.v6.intersect(&other.v6) }
    }

    /// The addresses that are in this set and not in the other.
    #[must_use]
    pub fn minus(&self, other: &Self) -> Self {
        Self { v4: self.v4.minus(&other.v4), v6: self.v6.minus(&other.v6) }
    }

    /// The addresses that are not in the set.
    #[must_use]
    pub fn complement(&self) -> Self {
        Self { v4: self.v4.complement(), v6: self.v6.complement() }
    }

    /// Whether every address of the other set is in this one.
    pub fn contains_all(&self, other: &Self) -> bool {
        self.v4.contains_all(&other.v4) && self.v6.contains_all(&other.v6)
    }

    /// Whether the two sets have an address in common.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.v4.overlaps(&other.v4) || self.v6.overlaps(&other.v6)
    }

    /// The fewest prefixes that cover exactly this set as text, IPv4 first, each family in order.
    pub fn to_cidrs(&self) -> Vec<String> {
        let v4 = self.v4.prefixes().map(|p| p.to_string());
        v4.chain(self.v6.prefixes().map(|p| p.to_string())).collect()
    }

    /// The addresses from which connections can come that are not in the set, if they are told in fewer prefixes.
    pub fn all_but(&self) -> Option<Self> {
        let others = self.union(super::no_source()).complement();
        let prefixes = |set: &Self| set.v4.prefixes().count() + set.v6.prefixes().count();
        (prefixes(&others) < prefixes(self)).then_some(others)
    }

    /// The set in one phrase: its first prefixes and how many more there are, or everybody but a few.
    ///
    /// ```
    /// use harden993::net::AddrSet;
    /// let office: AddrSet = "198.51.100.0/24".parse().unwrap();
    /// assert_eq!(office.brief(3), "198.51.100.0/24");
    /// assert_eq!(office.complement().brief(3), "everybody but 198.51.100.0/24");
    /// assert_eq!(AddrSet::all().brief(3), "everybody");
    /// ```
    pub fn brief(&self, most: usize) -> String {
        match self.all_but() {
            Some(others) if others.is_empty() => "everybody".to_owned(),
            Some(others) => format!("everybody but {}", others.first_few(most)),
            None if self.is_empty() => "nobody".to_owned(),
            None => self.first_few(most),
        }
    }

    fn first_few(&self, most: usize) -> String {
        let v4 = self.v4.prefixes().map(|p| p.to_string());
        let mut prefixes = v4.chain(self.v6.prefixes().map(|p| p.to_string()));
        let shown: Vec<String> = prefixes.by_ref().take(most).collect();
        match prefixes.count() {
            0 => shown.join(", "),
            more => format!("{} and {more} more", shown.join(", ")),
        }
    }

    /// The set of `ipnet`'s networks.
    pub fn from_ipnets(nets: impl IntoIterator<Item = ipnet::IpNet>) -> Self {
        nets.into_iter()
            .map(|net| match net {
                ipnet::IpNet::V4(n) => Network::V4(Span { first: n.network().into(), last: n.broadcast().into() }),
                ipnet::IpNet::V6(n) => Network::V6(Span { first: n.network().into(), last: n.broadcast().into() }),
            })
            .collect()
    }
}

impl FromIterator<Network> for AddrSet {
    fn from_iter<I: IntoIterator<Item = Network>>(networks: I) -> Self {
        let (mut v4, mut v6) = (Vec::new(), Vec::new());
        for network in networks {
            match network {
                Network::V4(s) => v4.push(s),
                Network::V6(s) => v6.push(s),
            }
        }
        Self { v4: Ranges::from_spans(v4), v6: Ranges::from_spans(v6) }
    }
}

impl From<Network> for AddrSet {
    fn from(network: Network) -> Self {
        std::iter::once(network).collect()
    }
}

impl fmt::Display for AddrSet {
    /// The prefixes, joined by `, `; an empty set is `none`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        f.write_str(&self.to_cidrs().join(", "))
    }
}
