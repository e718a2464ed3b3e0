//! What one file says: typed values, each with its place, before files are merged.

use std::collections::BTreeMap;
use std::ops::Range;

use jiff::civil::Date;

use crate::access::{Pattern, Rate, Refuse};
use crate::diagnostic::{Code, FileId, Place};
use crate::net::{AddrSet, Network};
use crate::policy::Feature;

use super::networks::Lines;

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Spot<T> {
    pub(super) value: T,
    pub(super) place: Place,
}

impl<T> Spot<T> {
    pub(super) fn new(value: T, file: FileId, span: Range<usize>) -> Self {
        Self { value, place: Place::new(file, span) }
    }

    pub(super) fn map<U>(self, f: impl FnOnce(T) -> U) -> Spot<U> {
        Spot { value: f(self.value), place: self.place }
    }
}

/// One file.
#[derive(Debug)]
pub(super) struct Sheet {
    pub(super) file: FileId,
    /// Whether it could not be read to its end: what is missing in it may only be unread.
    pub(super) broken: bool,
    pub(super) schema: Option<Spot<()>>,
    pub(super) include: Vec<Spot<String>>,
    pub(super) values: Values,
    pub(super) entries: Vec<Entry>,
    pub(super) allow: Vec<&'static Code>,
}

impl Sheet {
    pub(super) fn new(file: FileId) -> Self {
        Self {
            file,
            broken: false,
            schema: None,
            include: Vec::new(),
            values: Values::default(),
            entries: Vec::new(),
            allow: Vec::new(),
        }
    }
}

/// Everything that a nearer file replaces.
#[derive(Default, Debug)]
pub(super) struct Values {
    pub(super) name: Option<Spot<String>>,
    pub(super) description: Option<Spot<String>>,
    /// Where `[service]` starts.
    pub(super) service: Option<Place>,
    pub(super) ports: Option<Spot<Vec<Spot<u16>>>>,
    pub(super) interfaces: Option<Spot<Vec<Spot<Pattern>>>>,
    pub(super) close_plaintext: Option<Spot<bool>>,
    pub(super) forwarded: Option<Spot<Forward>>,
    pub(super) closed: Option<Spot<bool>>,
    pub(super) action: Option<Spot<Refuse>>,
    pub(super) log: Option<Switch<LogKeys>>,
    pub(super) limits: Option<Switch<LimitKeys>>,
    pub(super) targets: BTreeMap<&'static str, TargetKeys>,
}

/// `service.forwarded`.
#[derive(Clone, Debug)]
pub(super) enum Forward {
    No,
    Translated,
    Routed(AddrSet),
}

/// A table that can also be `false`.
#[derive(Clone, Debug)]
pub(super) enum Switch<T> {
    Off,
    On(T),
}

/// `untrusted.log`.
#[derive(Clone, Default, Debug)]
pub(super) struct LogKeys {
    pub(super) rate: Option<Spot<Rate>>,
    pub(super) burst: Option<Spot<u32>>,
}

/// `limits`, of the profile or of an entry (which has no prefixes).
#[derive(Clone, Default, Debug)]
pub(super) struct LimitKeys {
    pub(super) rate: Option<Spot<Rate>>,
    pub(super) burst: Option<Spot<u32>>,
    pub(super) concurrent: Option<Spot<u32>>,
    pub(super) ipv4_prefix: Option<Spot<u8>>,
    pub(super) ipv6_prefix: Option<Spot<u8>>,
}

/// `target.NAME`.
#[derive(Default, Debug)]
pub(super) struct TargetKeys {
    pub(super) degrade: Option<Vec<Feature>>,
    pub(super) interfaces: Option<Spot<Vec<Spot<Pattern>>>>,
    pub(super) choices: BTreeMap<&'static str, &'static str>,
}

/// What an entry does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Trusted,
    Blocked,
}

/// A `[[trusted]]` or `[[blocked]]` table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Where it starts.
    pub(super) header: Place,
    pub(super) name: Option<Spot<String>>,
    /// Whether `networks` or `file` is written, well or badly: an entry with neither is about interfaces.
    pub(super) names_networks: bool,
    pub(super) networks: Option<Spot<Lines>>,
    pub(super) except: Vec<Spot<(Network, u32)>>,
    pub(super) list: Option<Spot<String>>,
    pub(super) via: Option<Spot<Vec<Spot<Pattern>>>>,
    pub(super) expires: Option<Spot<Date>>,
    pub(super) limits: Option<Switch<LimitKeys>>,
}

impl Entry {
    /// The place by which a message names the entry.
    pub(super) fn place(&self) -> &Place {
        self.name.as_ref().map_or(&self.header, |n| &n.place)
    }

    /// The name, or nothing for an entry that has none (which is an error).
    pub(super) fn label(&self) -> &str {
        self.name.as_ref().map_or("", |n| &n.value)
    }
}
