//! What a listing says, before it is known what it means: tables with chains, rules and sets, the same for text and JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::access::Bucket;
use crate::access::Refuse;
use crate::net::Span;
use crate::ruleset::{Mark, Mixture};

use super::field::Field;

/// A whole listing.
#[derive(Debug, Default)]
pub(super) struct Document<'a> {
    /// The text that rules are pieces of: the listing, or what was spelled of JSON. Rules are kept as such, since what they
    /// say takes many times as much memory.
    pub(super) text: Cow<'a, str>,
    /// The tables that are there in the end, in the order in which they are listed.
    pub(super) tables: Vec<Table>,
    /// The place of each in `tables`.
    numbers: HashMap<(TableFamily, String), usize>,
    /// What could not be taken as it stands.
    pub(super) remarks: Vec<String>,
}

impl<'a> Document<'a> {
    /// A document of rules in a text.
    pub(super) fn of(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), ..Self::default() }
    }

    /// A rule as it was listed.
    pub(super) fn written(&self, rule: &Rule) -> &str {
        self.text.get(rule.from..rule.to).unwrap_or_default()
    }

    /// The number of a table, which is made if there is none of that name.
    pub(super) fn table(&mut self, family: TableFamily, name: &str) -> usize {
        *self.numbers.entry((family, name.to_owned())).or_insert_with(|| {
            self.tables.push(Table { family, name: name.to_owned(), ..Table::default() });
            self.tables.len() - 1
        })
    }

    /// Forgets a table: what is defined of that name from here on is another one.
    pub(super) fn delete(&mut self, family: TableFamily, name: &str) {
        if let Some(number) = self.numbers.remove(&(family, name.to_owned())) {
            self.tables[number] = Table { gone: true, ..Table::default() };
        }
    }

    /// Forgets every table.
    pub(super) fn flush(&mut self) {
        self.tables.clear();
        self.numbers.clear();
    }
}

/// The family of a table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(super) enum TableFamily {
    #[default]
    Inet,
    Ip,
    Ip6,
    Netdev,
    /// What comes by a port of a bridge, before it is an IP packet.
    Bridge,
    /// ARP: no packet to a TCP port passes there.
    Elsewhere,
}

impl TableFamily {
    /// The family of a word.
    pub(super) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "inet" => Self::Inet,
            "ip" => Self::Ip,
            "ip6" => Self::Ip6,
            "netdev" => Self::Netdev,
            "bridge" => Self::Bridge,
            "arp" => Self::Elsewhere,
            _ => return None,
        })
    }

    /// How listings name it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Inet => "inet",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Netdev => "netdev",
            Self::Bridge => "bridge",
            Self::Elsewhere => "arp",
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) family: TableFamily,
    pub(super) name: String,
    /// Whether it is switched off.
    pub(super) dormant: bool,
    /// Whether it was deleted later in the same file.
    pub(super) gone: bool,
    pub(super) chains: Vec<Chain>,
    /// The place of each chain in `chains`.
    chain_numbers: HashMap<String, usize>,
    pub(super) sets: BTreeMap<String, Set>,
    /// The names of sets that rules put elements into.
    pub(super) fed: BTreeSet<String>,
}

impl Table {
    /// A chain by its name, made if there is none.
    pub(super) fn chain(&mut self, name: &str) -> &mut Chain {
        let number = *self.chain_numbers.entry(name.to_owned()).or_insert_with(|| {
            self.chains.push(Chain { name: name.to_owned(), base: None, rules: Vec::new() });
            self.chains.len() - 1
        });
        &mut self.chains[number]
    }
}

#[derive(Debug)]
pub(super) struct Chain {
    pub(super) name: String,
    pub(super) base: Option<Base>,
    pub(super) rules: Vec<Rule>,
}

/// What makes a chain a base chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Base {
    /// `filter`, `nat` or `route`.
    pub(super) kind: String,
    /// The hook's name.
    pub(super) hook: String,
    /// The priority; none: it could not be read.
    pub(super) priority: Option<i32>,
    /// Whether its end drops.
    pub(super) drops: bool,
    /// The devices of an ingress chain.
    pub(super) devices: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Rule {
    pub(super) line: u32,
    pub(super) handle: Option<u64>,
    /// Where it begins in the document's text.
    pub(super) from: usize,
    /// Where it ends.
    pub(super) to: usize,
    /// Whether nft prints it as a whole.
    pub(super) whole: bool,
}

/// A named set or map.
#[derive(Debug)]
pub(super) struct Set {
    /// Whether packets change it, or time does.
    pub(super) changes: bool,
    /// Whether its elements are networks or ranges.
    pub(super) interval: bool,
    /// The time after which it forgets an element, in seconds.
    pub(super) timeout: Option<u64>,
    pub(super) elements: Elements,
}

/// The elements of a set.
#[derive(Debug)]
pub(super) enum Elements {
    /// Nothing but IPv4 addresses.
    V4(Vec<Span<u32>>),
    /// Nothing but IPv6 addresses.
    V6(Vec<Span<u128>>),
    /// Anything.
    Any(Vec<Element>),
    /// Something that could not be read, and what.
    Unknown(String),
}

impl Elements {
    /// How many there are, as far as they could be read.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::V4(list) => list.len(),
            Self::V6(list) => list.len(),
            Self::Any(list) => list.len(),
            Self::Unknown(_) => 0,
        }
    }
}

/// One element: its parts (one, or those of a concatenation), and what a map says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Element {
    /// Each part as text: `10.0.0.0/8`, `993-995`, `eth0`, `syn|ack`; `*` is whatever no other element is.
    pub(super) key: Vec<String>,
    pub(super) data: Option<Data>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    Verdict(Verdict),
    Value(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Verdict {
    Accept,
    Drop,
    Continue,
    Return,
    Jump(String),
    Goto(String),
    /// Another one, and why it is not followed.
    Other(&'static str),
}

/// A part of a packet, and the mask that it is seen through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Operand {
    pub(super) field: Field,
    pub(super) mask: Option<String>,
}

/// How a packet is compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Op {
    /// No operator: equal, or for flags any of them.
    Is,
    Equal,
    NotEqual,
    /// None of the flags (`!`).
    Lacks,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What a packet is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Right {
    /// One value, a range, a prefix, or flags joined by `,` or `|`.
    Value(String),
    /// Flags under a mask: `syn / syn,ack`.
    Under(String, String),
    /// An anonymous set.
    Set(Vec<Element>),
    /// A named set.
    Named(String),
}

/// What is said of each element that a packet puts into a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Inner {
    Rate(Limit),
    Count(CtCount),
    /// A counter, a comment, a time.
    Nothing,
    Other,
}

/// A limit in packets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limit {
    /// None: it is not counted in packets, or not per second, minute, hour or day.
    pub(super) bucket: Option<Bucket>,
    /// Whether it matches what is over it.
    pub(super) over: bool,
}

/// A bound on open connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CtCount {
    pub(super) count: u32,
    /// Whether it matches what is over it.
    pub(super) over: bool,
}

/// A change of destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Translation {
    /// The new address or range; none: this host.
    pub(super) to: Option<String>,
    /// The new port or range.
    pub(super) port: Option<String>,
}

/// One statement of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Statement {
    Match {
        key: Vec<Operand>,
        op: Op,
        right: Right,
    },
    /// A verdict for each key.
    VerdictMap {
        key: Vec<Operand>,
        right: Right,
    },
    Verdict(Verdict),
    Reject(Refuse),
    Log {
        prefix: String,
    },
    Limit(Limit),
    CtCount(CtCount),
    /// `add` or `update` of a set.
    Put {
        update: bool,
        set: String,
        key: Vec<Operand>,
        inner: Vec<Inner>,
    },
    Translate(Translation),
    /// A destination for each key.
    TranslateMap {
        key: Vec<Operand>,
        right: Right,
    },
    NoTrack,
    /// A mark is set; none: to what is not modelled.
    SetMark {
        mark: Mark,
        to: Option<Mixture>,
    },
    /// A mark for each key.
    MarkMap {
        mark: Mark,
        key: Vec<Operand>,
        right: Right,
    },
    /// Nothing that an answer depends on: counters, comments, marks of other kinds.
    Nothing,
    /// A test that is not modelled, and what it depends on.
    UnknownTest(String),
    /// An action that is not modelled.
    UnknownAction(String),
}
