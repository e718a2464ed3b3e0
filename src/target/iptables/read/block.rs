//! One table of a listing as it stands there: its chains, and each rule as a piece of the text.

use std::collections::HashMap;

use crate::net::Family;

/// The two implementations of iptables, which a host can have loaded side by side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(in super::super) enum Variant {
    /// Rules in nf_tables.
    Nft,
    /// Rules in the tables of the kernel that came before.
    Legacy,
}

impl Variant {
    /// Its name, as tools and profiles write it.
    pub(in super::super) fn name(self) -> &'static str {
        match self {
            Self::Nft => "nft",
            Self::Legacy => "legacy",
        }
    }
}

/// A rule: the text after its chain's name, and the line that it stands on.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Line<'t> {
    pub(in super::super) text: &'t str,
    pub(in super::super) number: u32,
}

/// A chain.
#[derive(Clone, Debug)]
pub(in super::super) struct RawChain<'t> {
    pub(in super::super) name: &'t str,
    /// `ACCEPT` or `DROP`; `-` for a chain that is not built in.
    pub(in super::super) policy: &'t str,
    pub(in super::super) rules: Vec<Line<'t>>,
}

/// What a table holds.
#[derive(Clone, Debug)]
pub(in super::super) struct Block<'t> {
    pub(in super::super) family: Family,
    /// None where the text does not say.
    pub(in super::super) variant: Option<Variant>,
    /// The table's name: `filter`.
    pub(in super::super) table: &'t str,
    /// The section that it stands in.
    pub(in super::super) section: usize,
    /// Whether only our chains are here, and the jumps to them are to be thought in front of what a host holds.
    pub(in super::super) rendering: bool,
    /// Whether nft wrote rules into the table that iptables cannot show, so that it shows none.
    pub(in super::super) hidden: bool,
    pub(in super::super) chains: Vec<RawChain<'t>>,
    numbers: HashMap<&'t str, u32>,
    last: usize,
}

impl<'t> Block<'t> {
    pub(in super::super) fn new(family: Family, variant: Option<Variant>, table: &'t str, section: usize) -> Self {
        Self {
            family,
            variant,
            table,
            section,
            rendering: false,
            hidden: false,
            chains: Vec::new(),
            numbers: HashMap::new(),
            last: 0,
        }
    }

    /// The number of a chain, which is made if it is not there.
    pub(in super::super) fn declare(&mut self, name: &'t str, policy: &'t str) -> &mut RawChain<'t> {
        let next = self.chains.len() as u32;
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.chains.push(RawChain { name, policy, rules: Vec::new() });
        }
        self.last = number as usize;
        &mut self.chains[number as usize]
    }

    /// The chain that a rule is appended to. Rules stand chain by chain, so the last one is asked first.
    pub(in super::super) fn chain_for_rule(&mut self, name: &'t str) -> &mut RawChain<'t> {
        if self.chains.get(self.last).is_some_and(|c| c.name == name) {
            return &mut self.chains[self.last];
        }
        self.declare(name, if name.bytes().all(|b| b.is_ascii_uppercase()) { "ACCEPT" } else { "-" })
    }

    /// The chain of a name.
    pub(in super::super) fn chain(&self, name: &str) -> Option<&RawChain<'t>> {
        self.number(name).map(|n| &self.chains[n])
    }

    /// The number of a chain.
    pub(in super::super) fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).map(|n| *n as usize)
    }

    /// How origins and stages name this firewall.
    pub(in super::super) fn tool(&self) -> &'static str {
        match (self.family, self.variant) {
            (Family::V4, Some(Variant::Legacy)) => "iptables-legacy",
            (Family::V4, _) => "iptables",
            (Family::V6, Some(Variant::Legacy)) => "ip6tables-legacy",
            (Family::V6, _) => "ip6tables",
        }
    }
}
