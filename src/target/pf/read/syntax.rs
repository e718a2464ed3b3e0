//! Rules as they are written: the nouns that the parser makes and the lowering takes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::access::{Bucket, Refuse};
use crate::net::{AddrSet, Family};
use crate::ruleset::Ports;

/// Where traffic goes, seen from the host.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Direction {
    In,
    Out,
}

/// An interface of a rule: `on em0`, `on ! em0`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct On {
    pub(super) negated: bool,
    pub(super) name: String,
}

/// A source or destination of a rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Host {
    pub(super) negated: bool,
    pub(super) what: HostKind,
}

/// What a source or destination is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum HostKind {
    /// Every address.
    Any,
    /// An address, prefix or range.
    Net(AddrSet),
    /// A table, and the number of its addresses where the listing has it.
    Table(String, Option<String>),
    /// Any address of this host: `self`, `(self)`.
    This,
    /// Something that only the host knows, and what it is: `(em0)`, `em0:network`, a name, `urpf-failed`.
    Unknown(String),
}

/// Source or destination with its ports.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct End {
    /// Any of them; empty: every address.
    pub(super) hosts: Vec<Host>,
    /// None: every port.
    pub(super) ports: Option<Ports>,
}

/// What a rule does with what it matches.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Action {
    Pass,
    /// `block`; none: as the block policy says.
    Block(Option<Refuse>),
    /// `match`: goes on.
    Match,
    /// Evaluates an anchor, named as it was written; none: the anonymous one that follows in braces.
    Anchor(Option<String>),
    /// `rdr`, `no rdr`, `binat`: before filtering, the first that matches.
    Translate(Translation),
}

/// A translation of destinations.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Translation {
    /// `no rdr`: the packet keeps its destination.
    None,
    /// To these addresses (none: this host) and this port (none: unchanged); `pass`: without filtering.
    To { to: Option<AddrSet>, port: Option<u16>, pass: bool },
    /// Somewhere that the listing does not tell, and why.
    Unknown(String),
    /// `rdr-anchor`: the translations of an anchor.
    Anchor(String),
}

/// How a pass rule keeps state.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    Keep,
    None,
}

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Rule {
    pub(super) line: u32,
    pub(super) text: String,
    /// Its number, where the listing has it (`@12`).
    pub(super) number: Option<u64>,
    pub(super) action: Action,
    pub(super) direction: Option<Direction>,
    pub(super) log: bool,
    pub(super) quick: bool,
    /// Any of them; empty: every interface.
    pub(super) on: Vec<On>,
    pub(super) family: Option<Family>,
    /// Whether it can match no TCP packet: another protocol, fragments, ICMP types.
    pub(super) never: bool,
    pub(super) from: End,
    pub(super) to: End,
    /// Mask and value; none: not written.
    pub(super) flags: Option<(u8, u8)>,
    pub(super) state: Option<State>,
    pub(super) rate: Option<Bucket>,
    pub(super) concurrent: Option<u32>,
    pub(super) label: Option<String>,
    /// Why it cannot be told whether the rule matches.
    pub(super) unknown: Vec<String>,
    /// Why it cannot be told what becomes of a packet that it matches.
    pub(super) effect: Option<String>,
}

/// What a table holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Table {
    Known(Arc<AddrSet>),
    /// Not known, and why.
    Unknown(String),
}

/// The rules and tables of one anchor; the main ruleset is the anchor with the empty path.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Anchor {
    /// Whether its rules are in the listing (and not only a table of it).
    pub(super) read: bool,
    pub(super) rules: Vec<Rule>,
    pub(super) tables: BTreeMap<String, Table>,
}

/// Everything that was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Anchors {
    /// By path.
    pub(super) by_path: BTreeMap<String, Anchor>,
    /// Interfaces on which pf does nothing.
    pub(super) skipped: Vec<String>,
    /// Whether a listing says that pf is switched off.
    pub(super) disabled: bool,
    /// Every anchor that the host has, where a listing names them all.
    pub(super) listed: Option<BTreeSet<String>>,
    /// `set block-policy`.
    pub(super) block_policy: Option<Refuse>,
}
