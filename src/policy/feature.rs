//! What a policy may ask for that not every target can do, and what a profile says to one target.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::access::Pattern;

/// A feature that `degrade` can name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Feature {
    /// Limits of any kind.
    Limits,
    /// The burst of `new_connections`.
    Burst,
    /// IPv4 sources that are counted by a prefix shorter than /32.
    Ipv4Prefix,
    /// IPv6 sources that are counted by a prefix shorter than /128.
    Ipv6Prefix,
    /// Log lines of what is refused.
    Log,
    /// The rate of the log lines.
    LogRate,
    /// Refusal by TCP reset.
    Reject,
    /// Forwarded connections.
    Forwarded,
}

impl Feature {
    /// Every feature, in the order of the documentation.
    pub const ALL: [Self; 8] = [
        Self::Limits,
        Self::Burst,
        Self::Ipv4Prefix,
        Self::Ipv6Prefix,
        Self::Log,
        Self::LogRate,
        Self::Reject,
        Self::Forwarded,
    ];

    /// The word that `degrade` knows it by.
    pub fn word(self) -> &'static str {
        match self {
            Self::Limits => "limits",
            Self::Burst => "burst",
            Self::Ipv4Prefix => "ipv4_prefix",
            Self::Ipv6Prefix => "ipv6_prefix",
            Self::Log => "log",
            Self::LogRate => "log-rate",
            Self::Reject => "reject",
            Self::Forwarded => "forwarded",
        }
    }

    /// The feature of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.word() == word)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The features that a profile asks for in writing. What it has only by default may be left out without `degrade`; the
/// one exception is the prefix under limits, which always counts as asked for, because a limit per /128 is none.
pub type Asked = BTreeSet<Feature>;

/// What a profile's `[target.NAME]` says.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TargetSettings {
    /// The features that may be left out.
    pub degrade: BTreeSet<Feature>,
    /// The interfaces, in the target's own names, in place of `service.interfaces`.
    pub interfaces: Option<Vec<Pattern>>,
    /// The target's own keys (`dialect`, `variant`, `accept`) with a value that it knows.
    pub choices: BTreeMap<String, String>,
}

impl TargetSettings {
    /// The value of one of the target's own keys.
    pub fn choice(&self, key: &str) -> Option<&str> {
        self.choices.get(key).map(String::as_str)
    }
}

/// What a target lets a profile say beside `degrade` and `interfaces`: its keys and, for each, the values that it knows.
#[derive(Clone, Copy, Debug)]
pub struct TargetSpec {
    /// The target's name.
    pub name: &'static str,
    /// Each key with its values, the default first.
    pub keys: &'static [(&'static str, &'static [&'static str])],
}
