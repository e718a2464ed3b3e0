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

    /// The set in the fewest words: in one part, or in a part for each family where they are told differently.
    ///
    /// ```
    /// use harden993::net::{AddrSet, Family};
    /// let office: AddrSet = "198.51.100.0/24".parse().unwrap();
    /// let parts = office.union(&AddrSet::family(Family::V6)).told();
    /// assert_eq!((parts[0].whom, parts[0].inverse), (Some(Family::V4), false));
    /// assert_eq!((parts[1].whom, parts[1].inverse), (Some(Family::V6), true));
    /// ```
    pub fn told(&self) -> Vec<Told> {
        let v4 = Self { v4: self.v4.clone(), v6: Ranges::new() };
        let v6 = Self { v4: Ranges::new(), v6: self.v6.clone() };
        match (v4.all_but(Family::V4), v6.all_but(Family::V6)) {
            (Some(four), Some(six)) => vec![Told { whom: None, inverse: true, list: four.union(&six) }],
            (None, None) if self.is_empty() => Vec::new(),
            (None, None) => vec![Told { whom: None, inverse: false, list: self.clone() }],
            (four, six) => [(Family::V4, four, v4), (Family::V6, six, v6)]
                .into_iter()
                .filter(|(.., members)| !members.is_empty())
                .map(|(family, others, members)| Told {
                    whom: Some(family),
                    inverse: others.is_some(),
                    list: others.unwrap_or(members),
                })
                .collect(),
        }
    }

    /// The addresses of a family from which connections can come that are not in the set, if they are told in fewer
    /// prefixes than those that are.
    fn all_but(&self, family: Family) -> Option<Self> {
        let others = Self::family(family).minus(super::no_source()).minus(self);
        let prefixes = |set: &Self| set.v4.prefixes().count() + set.v6.prefixes().count();
        (prefixes(&others) < prefixes(self)).then_some(others)
    }

    /// The set in one phrase: its first prefixes and how many more there are, or everybody but a few.
    ///
    /// ```
    /// use harden993::net::{AddrSet, Family};
    /// let office: AddrSet = "198.51.100.0/24".parse().unwrap();
    /// assert_eq!(office.brief(3), "198.51.100.0/24");
    /// assert_eq!(office.complement().brief(3), "everybody but 198.51.100.0/24");
    /// assert_eq!(AddrSet::all().brief(3), "everybody");
    /// assert_eq!(office.union(&AddrSet::family(Family::V6)).brief(3), "198.51.100.0/24; every IPv6 address");
    /// ```
    pub fn brief(&self, most: usize) -> String {
        let parts: Vec<String> = self.told().iter().map(|part| part.phrase(most)).collect();
        if parts.is_empty() { "nobody".to_owned() } else { parts.join("; ") }
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

/// A part of a set as it is told: who is in it, or everybody but a few.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The one family that it is about; none: both.
    pub whom: Option<Family>,
    /// Whether the list is of those that are not in the set.
    pub inverse: bool,
    /// Who is in the set, or is not.
    pub list: AddrSet,
}

impl Told {
    /// The part in one phrase: its first prefixes and how many more there are, or everybody but a few.
    pub fn phrase(&self, most: usize) -> String {
        match (self.inverse, self.list.is_empty()) {
            (false, _) => self.list.first_few(most),
            (true, true) => self.everybody().to_owned(),
            (true, false) => format!("{} but {}", self.everybody(), self.list.first_few(most)),
        }
    }

    /// How everybody that it could be about is called.
    pub fn everybody(&self) -> &'static str {
        match self.whom {
            None => "everybody",
            Some(Family::V4) => "every IPv4 address",
            Some(Family::V6) => "every IPv6 address",
        }
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
